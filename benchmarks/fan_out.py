"""Messages a second to many sockets of one user: ours, from Redis on, beside raw uvicorn with encoded text.

Both sides send the same text equally often to equally many clients, which are bare sockets in this process that count
bytes. Ours also subscribes, decodes the head of each message, and keeps one slow client from holding up the others.
"""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import redis.asyncio

from arqueduct import events
from arqueduct.events import JobMessage
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.lifecycle import JobState
from benchmarks.backing import Backing, free_port, running_module
from benchmarks.installation import Installation, installed

__all__ = ["Deliveries", "measure"]

AT_ONCE = 25
"""Sockets that are opened together: a few of one address may wait for their sign-in."""
QUIET_SECONDS = 0.5
PATIENCE = 60.0
ROUTE = "/api/v1/ws"


class Deliveries(NamedTuple):
    """A second, over all sockets, in one round."""

    ours: float
    raw: float


class _Sink(asyncio.Protocol):
    """A client that reads nothing and counts bytes."""

    def __init__(self, host: str, headers: Mapping[str, str]) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.bytes = 0
        lines = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        self._hello = f"GET {ROUTE} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.write(f"{self._hello}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            self.bytes += len(data)
        elif b" 101 " in data[:20]:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(RuntimeError(f"The socket was refused: {data[:300]!r}"))

    def connection_lost(self, _: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("The server hung up."))


class _Crowd:
    """Sinks on one server."""

    def __init__(self, sinks: list[_Sink]) -> None:
        self._sinks = sinks

    def received(self) -> int:
        return sum(sink.bytes for sink in self._sinks)

    async def quiet(self) -> None:
        """Until nothing has come for a moment."""
        before = -1
        while before != (before := self.received()):
            await asyncio.sleep(QUIET_SECONDS)

    async def until(self, total: int) -> None:
        """Raises `TimeoutError`."""
        async with asyncio.timeout(PATIENCE):
            while self.received() < total:
                await asyncio.sleep(0.001)


async def measure(backing: Backing, rounds: int, clients: int, messages: int) -> list[Deliveries]:
    """By turns, on servers that keep their sockets all the while."""
    most = str(clients + 10)
    limits = {f"ARQUEDUCT_MAX_SOCKETS{of}": most for of in ("", "_PER_USER", "_PER_TENANT")}
    port = free_port()
    provider = {"OPENAI_BASE_URL": backing.embed_url, "ARQUEDUCT_EMBEDDING_DIMENSIONS": "384"}
    with running_module("benchmarks.sides.raw_sockets", str(port), port=port):
        async with (
            installed(backing, **limits, **provider) as ours,
            _crowd(ours.credentials.url, clients, {"X-API-Key": ours.credentials.api_key}) as our_crowd,
            _crowd(f"http://127.0.0.1:{port}", clients, {}) as raw_crowd,
        ):
            found = []
            for _ in range(rounds):
                sent = [_message(ours) for _ in range(messages)]
                expected = clients * sum(map(_frame_bytes, sent))
                seconds = await _ours(ours, our_crowd, backing, sent, expected)
                alone = await _raw(f"http://127.0.0.1:{port}", raw_crowd, sent, expected)
                found.append(Deliveries(clients * messages / seconds, clients * messages / alone))
            return found


@asynccontextmanager
async def _crowd(url: str, clients: int, headers: Mapping[str, str]) -> AsyncIterator[_Crowd]:
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    host = parts.hostname or ""
    sinks: list[_Sink] = []
    try:
        for first in range(0, clients, AT_ONCE):
            for _ in range(min(AT_ONCE, clients - first)):
                _, sink = await loop.create_connection(lambda: _Sink(parts.netloc, headers), host, parts.port or 80)
                sinks.append(sink)
            await asyncio.gather(*(sink.opened for sink in sinks))
            await asyncio.sleep(0.05)
        crowd = _Crowd(sinks)
        await crowd.quiet()
        yield crowd
    finally:
        for sink in sinks:
            sink.transport.close()


async def _ours(ours: Installation, crowd: _Crowd, backing: Backing, sent: list[bytes], expected: int) -> float:
    """Seconds from the first publication to the last byte."""
    channel = Keys(prefix="arqueduct").live(ours.credentials.user_id)
    async with redis.asyncio.Redis.from_url(backing.redis_url) as client:
        await crowd.quiet()
        goal, began = crowd.received() + expected, time.perf_counter()
        pipeline = client.pipeline(transaction=False)
        for message in sent:
            pipeline.publish(channel, message)
        await pipeline.execute()
        await crowd.until(goal)
        return time.perf_counter() - began


async def _raw(url: str, crowd: _Crowd, sent: list[bytes], expected: int) -> float:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        goal, began = crowd.received() + expected, time.perf_counter()
        answer = await http.post(f"{url}/send", content=sent[0], headers={"x-times": str(len(sent))})
        answer.raise_for_status()
        await crowd.until(goal)
        return time.perf_counter() - began


def _message(ours: Installation) -> bytes:
    """Of a job of its own: what is newer of the same job would replace what still waits."""
    job_id: UUID = new_id()
    message = JobMessage(
        id=f"{job_id}:1",
        type="job_progress",
        tenant_id=ours.credentials.tenant_id,
        job_id=job_id,
        kind="document.ingest",
        document_id=new_id(),
        document_name="report.pdf",
        state=JobState.RUNNING,
        stage="embedding",
        progress=0.5,
        message=None,
        details={"done": 5, "total": 10, "unit": "passages"},
        eta_seconds=3,
        error=None,
        attempt=1,
        seq=1,
        timestamp=events.timestamp(),
    )
    return events.encode(message)


def _frame_bytes(message: bytes) -> int:
    """Of a WebSocket frame from a server: no mask, and two more bytes for the length of all but the shortest."""
    return len(message) + (2 if len(message) < 126 else 4)
