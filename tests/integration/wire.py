"""A way to Postgres on which what was asked is counted, and on which answers can be held up or cut off."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy import make_url

__all__ = ["Asked", "Wire", "wired"]

HEAD = 5
"""The kind of a message, and its length but for the kind."""
SSL_REQUEST = (80877103).to_bytes(4, "big")
STATEMENT_ENDED = {b"C", b"s"}
"""CommandComplete, and PortalSuspended: whoever asks for one row gets no more."""
READY_FOR_QUERY = b"Z"


@dataclass
class Asked:
    """Of Postgres."""

    statements: int = 0
    """As `pg_stat_statements` counts them: BEGIN and COMMIT are two."""
    round_trips: int = 0


@dataclass(kw_only=True)
class Wire:
    """Passes connections on to the Postgres at `target`."""

    target: int
    port: int = 0
    asked: Asked = field(default_factory=Asked)
    heard: int = 0
    """Pieces that clients have sent."""
    connections: int = 0
    is_away: bool = False
    """New connections end at once."""
    _answering: asyncio.Event = field(default_factory=asyncio.Event)
    _open: "set[asyncio.Task[None]]" = field(default_factory=set)
    _doomed: "set[asyncio.Task[None]]" = field(default_factory=set)

    def url(self, url: SecretStr | None) -> str:
        """The same database by this way."""
        assert url is not None
        return make_url(url.get_secret_value()).set(port=self.port).render_as_string(hide_password=False)

    @contextmanager
    def counting(self) -> Iterator[Asked]:
        """What is asked inside of the block, once the block is over."""
        counted = Asked()
        before = self.asked.statements, self.asked.round_trips
        yield counted
        counted.statements, counted.round_trips = self.asked.statements - before[0], self.asked.round_trips - before[1]

    def hold_up(self) -> None:
        """From now on questions arrive and answers do not."""
        self._answering.clear()

    def go_on(self) -> None:
        self._answering.set()

    def doom(self) -> None:
        """Those that are open end at their next question, and not before: nobody can have noticed."""
        self._doomed |= self._open

    async def cut(self) -> None:
        """Ends every connection."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.is_away:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await _shake_hands(reader, writer, onward_reader, onward)
            ways = [asyncio.create_task(self._questions(reader, onward, task))]
            ways.append(asyncio.create_task(self._answers(onward_reader, writer)))
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # ended in the middle
        finally:
            for side in (writer, onward):
                side.transport.abort()
            self._open.discard(task)

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: "asyncio.Task[None]"
    ) -> None:
        while (piece := await reader.read(65536)) and connection not in self._doomed:
            writer.write(piece)
            await writer.drain()
            self.heard += 1

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(HEAD)
            body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            await self._answering.wait()
            self.asked.statements += head[:1] in STATEMENT_ENDED
            self.asked.round_trips += head[:1] == READY_FOR_QUERY
            writer.write(head + body)
            await writer.drain()


@asynccontextmanager
async def wired(target: int) -> AsyncIterator[Wire]:
    """Listens on a free port while the block lasts."""
    wire = Wire(target=target)
    wire.go_on()
    async with await asyncio.start_server(wire.serve, "127.0.0.1", 0) as listening:
        wire.port = listening.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            listening.close()
            await wire.cut()


async def _shake_hands(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    onward_reader: asyncio.StreamReader,
    onward: asyncio.StreamWriter,
) -> None:
    """The answer to a client that asks for encryption is one letter, where all others are messages."""
    first = await reader.readexactly(8)
    onward.write(first)
    if first[4:] == SSL_REQUEST:
        writer.write(await onward_reader.readexactly(1))
