"""A way to a server that breaks: each connection is cut after some bytes, wherever in a frame that is."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["CuttingProxy", "cutting_proxy"]

PIECE = 4096


@dataclass(kw_only=True)
class CuttingProxy:
    """Passes connections on to `target`; `patience` says how many bytes of answers each one gets, `None` for all."""

    target: int
    patience: Callable[[], int | None]
    is_hard: Callable[[], bool]
    """Whether the next cut is a reset, which also loses what was not read yet; else an end in the middle."""
    port: int = 0
    cuts: int = 0
    _open: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to the cut."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        onward = None
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.target)
            left = self.patience()
            ways = [asyncio.create_task(_pass_on(reader, onward, None))]
            ways.append(asyncio.create_task(_pass_on(onward_reader, writer, left)))
            with suppress(OSError):
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                if any(way.exception() is None and way.result() for way in done):
                    self.cuts += 1
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for side in filter(None, (writer, onward)):
                _cut(side, hard=self.is_hard())
            self._open.discard(task)

    async def close(self) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@asynccontextmanager
async def cutting_proxy(
    target: int, patience: Callable[[], int | None], is_hard: Callable[[], bool]
) -> AsyncIterator[CuttingProxy]:
    """Listens on a free port while the block lasts."""
    proxy = CuttingProxy(target=target, patience=patience, is_hard=is_hard)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listening:
        proxy.port = listening.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            listening.close()
            await proxy.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> bool:
    """Whether patience ended, rather than the stream."""
    while left is None or left > 0:
        piece = await reader.read(PIECE if left is None else min(PIECE, left))
        if not piece:
            return False
        writer.write(piece)
        await writer.drain()
        left = None if left is None else left - len(piece)
    return True


def _cut(writer: asyncio.StreamWriter, *, hard: bool) -> None:
    if hard:
        with suppress(OSError):
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
