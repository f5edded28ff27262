"""The floor of a fan-out: uvicorn, and one text that is encoded already and sent to every socket that is open.

    python -m benchmarks.sides.raw_sockets PORT

`POST /send` with a text sends it to all; its header `x-times` says how often.
"""

import asyncio
import sys
from typing import Any

import uvicorn

__all__ = ["Raw"]


class Raw:
    """An ASGI application."""

    def __init__(self) -> None:
        self._sends: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._keep(receive, send)
        elif scope["type"] == "http":
            await self._send_all(dict(scope["headers"]), receive, send)

    async def _keep(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._sends.append(send)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self._sends.remove(send)

    async def _send_all(self, headers: dict[bytes, bytes], receive: Any, send: Any) -> None:
        message = {"type": "websocket.send", "text": (await receive())["body"].decode()}
        for _ in range(int(headers[b"x-times"])):
            for to_one in self._sends:
                await to_one(message)
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def main(port: str) -> None:
    uvicorn.run(
        Raw(),
        host="127.0.0.1",
        port=int(port),
        ws="websockets-sansio",
        loop="uvloop",
        lifespan="off",
        log_level="warning",
        access_log=False,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
