"""Pages of strangers: what a browser would let them read or open."""

import asyncio
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["origins"]


async def origins(target: Target, tally: Tally) -> None:
    here = f"{target.host}:{target.port}"
    strangers = (
        "https://evil.example",
        "null",
        "file://",
        f"http://{here}.evil.example",
        f"http://evil.example#{here}",
        f"http://evil.example/{here}",
        f"http://{here}@evil.example",
        f"http://{target.host}:1",
        "http://localhost.evil.example",
        "*",
    )
    async with target.client(target.me) as client:
        for origin in strangers:
            answer = await client.get(f"{PREFIX}/documents", headers={"Origin": origin})
            tally.check("access-control-allow-origin" not in answer.headers, f"{origin} may read: {answer.headers}")
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": "DELETE",
                "Access-Control-Request-Headers": "X-API-Key",
            }
            answer = await client.options(f"{PREFIX}/documents", headers=asked)
            tally.check("access-control-allow-origin" not in answer.headers, f"{origin} may ask: {answer.headers}")
        answer = await client.get(f"{PREFIX}/documents")
        tally.check("set-cookie" not in answer.headers, "a cookie is set, which other pages would send along")
    for origin in strangers:
        refused = await _is_refused(target, origin)
        tally.check(refused, f"a page of {origin} opens a socket")


async def _is_refused(target: Target, origin: str) -> bool:
    url = f"ws://{target.host}:{target.port}{PREFIX}/ws"
    with suppress(InvalidStatus, InvalidHandshake, ConnectionError, TimeoutError):
        async with asyncio.timeout(5), connect(url, additional_headers={**target.me.headers, "Origin": origin}):
            return False
    return True
