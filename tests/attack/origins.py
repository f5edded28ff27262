"""Pages of strangers: what a browser would let them read or open."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["origins"]

OPENED = 101


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
            told = answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
            tally.check(told, f"{origin} may read: {answer.status_code} {answer.headers}")
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": "DELETE",
                "Access-Control-Request-Headers": "X-API-Key",
            }
            answer = await client.options(f"{PREFIX}/documents", headers=asked)
            refused = answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
            tally.check(refused, f"{origin} may ask: {answer.status_code} {answer.headers}")
        answer = await client.get(f"{PREFIX}/documents")
        tally.check("set-cookie" not in answer.headers, "a cookie is set, which other pages would send along")
    for own in (None, f"http://{here}"):
        opened = await _answer_to_socket(target, own)
        tally.check(opened == OPENED, f"who is no stranger, {own}, opens no socket: {opened}")
    for origin in strangers:
        answered = await _answer_to_socket(target, origin)
        tally.check(answered == 403, f"a page of {origin} is not refused a socket: {answered}")


async def _answer_to_socket(target: Target, origin: str | None) -> int:
    """The status of the handshake."""
    url = f"ws://{target.host}:{target.port}{PREFIX}/ws"
    headers = {**target.me.headers, **({"Origin": origin} if origin else {})}
    try:
        async with asyncio.timeout(5), connect(url, additional_headers=headers):
            return OPENED
    except InvalidStatus as error:
        return error.response.status_code
