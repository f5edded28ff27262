"""Many clients in one process: bare sockets that read what comes, answer pings, and note how old each message is.

    python -m benchmarks.sides.crowd_clients PORT

Reads one line of JSON, a list of API keys, and opens a socket for each; says `{"event": "connected"}` when all have
their snapshots. A second line tells how many messages there were. When as many have come, or none come any more, it
says `waits`, the age in milliseconds of each, and `lost`, the number of sockets that the server closed meanwhile.

The age is told by `"sent":` in the message, nanoseconds of the clock that all processes of a machine share.
"""

import asyncio
import base64
import json
import os
import sys
import time
from typing import cast

__all__ = ["Listener", "Tally"]

AT_ONCE = 40
"""Sockets that wait for their sign-in; a server lets 50 of one address do so."""
PATIENCE = 300.0
QUIET_SECONDS = 1.0
SENT = b'"sent":'
HELLO, SNAPSHOT = b'"type":"hello"', b'"type":"snapshot"'
TEXT, CLOSE, PING = 0x1, 0x8, 0x9


class Tally:
    """What all sockets heard."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.lost = 0


class Listener(asyncio.Protocol):
    """One client."""

    def __init__(self, port: int, key: str, tally: Tally) -> None:
        loop = asyncio.get_running_loop()
        self.signed_in: asyncio.Future[None] = loop.create_future()
        self.told: asyncio.Future[None] = loop.create_future()
        self._tally = tally
        self._rest = b""
        self._is_open = False
        self._hello = (
            f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"X-API-Key: {key}\r\n\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class
        self._transport.write(self._hello.encode())

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.lost += 1
        for waited in (self.signed_in, self.told):
            if not waited.done():
                waited.set_exception(RuntimeError(f"The server closed a socket: {self._rest[:300]!r}"))

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self._is_open:
            head, end, self._rest = self._rest.partition(b"\r\n\r\n")
            if not end or b" 101 " not in head[:20]:
                self._rest = head
                return
            self._is_open = True
        while (frame := _first_frame(self._rest)) is not None:
            opcode, payload, size = frame
            self._rest = self._rest[size:]
            self._hear(opcode, payload)

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._transport.write(bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif opcode == CLOSE:
            self._rest = payload
        elif opcode == TEXT:
            place = payload.find(SENT)
            if place >= 0:
                sent = payload[place + len(SENT) :].partition(b"}")[0].partition(b",")[0]
                self._tally.waits.append((time.monotonic_ns() - int(sent)) / 1e6)
            elif HELLO in payload:
                self.signed_in.set_result(None)
            elif SNAPSHOT in payload:
                self.told.set_result(None)


def _first_frame(data: bytes) -> tuple[int, bytes, int] | None:
    """Opcode, payload and size, as servers send them: unmasked, whole. None: it has not come in full."""
    if len(data) < 2:
        return None
    length, begin = data[1], 2
    if length > 125:
        begin = 4 if length == 126 else 10
        length = int.from_bytes(data[2:begin], "big")
    end = begin + length
    return (data[0] & 0xF, data[begin:end], end) if len(data) >= end >= begin else None


async def _connect(port: int, keys: list[str], tally: Tally) -> None:
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def open_one(key: str) -> None:
        async with gate:
            _, listener = await loop.create_connection(lambda: Listener(port, key, tally), "127.0.0.1", port)
            await listener.signed_in
        await listener.told

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*map(open_one, keys))


async def _run(port: int) -> None:
    tally = Tally()
    keys = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await _connect(port, keys, tally)
    print(json.dumps({"event": "connected"}), flush=True)
    sent = int(await asyncio.to_thread(sys.stdin.readline))
    heard = -1
    while heard != (heard := len(tally.waits)) < sent:
        await asyncio.sleep(QUIET_SECONDS)
    print(json.dumps({"event": "done", "waits": tally.waits, "lost": tally.lost}), flush=True)


def main(port: str) -> None:
    import uvloop

    uvloop.run(_run(int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
