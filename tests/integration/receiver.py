"""A receiver of webhooks on this machine: keeps what comes and answers as told. Raw HTTP, so that it can misbehave."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from tests.integration.worker import until

__all__ = ["Answer", "Got", "Receiver", "receiving"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said to one message."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"thanks"
    hold: asyncio.Event | None = None
    """Nothing is said until it is set."""
    is_endless: bool = False
    """The body never ends."""


@dataclass(frozen=True, kw_only=True)
class Got:
    """One message as it came."""

    line: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str) -> Any:
        """The message, as the reference library lets it through. Raises `WebhookVerificationError`."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass(kw_only=True)
class Receiver:
    """Answers 200 where `answers` says nothing else."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    connections: int = 0

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook?token=of-the-receiver"

    @property
    def types(self) -> list[str]:
        return sorted(got.message["type"] for got in self.got)

    async def heard(self, count: int, seconds: float = 30) -> None:
        async def enough() -> bool:
            return len(self.got) >= count

        await until(enough, seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(await _read(reader))
        answer = self.answers.popleft() if self.answers else Answer()
        if answer.hold:
            await answer.hold.wait()
        writer.write(_head(answer) + answer.body)
        while answer.is_endless:
            await writer.drain()
            writer.write(b"x" * 1024)
        await writer.drain()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    under_way: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Got:
    line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (header.partition(":") for header in rest)}
    return Got(line=line, headers=headers, body=await reader.readexactly(int(headers["content-length"])))


def _head(answer: Answer) -> bytes:
    length = {} if answer.is_endless else {"Content-Length": str(len(answer.body))}
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**answer.headers, **length}.items())
    return f"HTTP/1.1 {answer.status} Whatever\r\n{headers}\r\n".encode()
