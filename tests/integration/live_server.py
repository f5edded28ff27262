"""A real uvicorn with the live routes, on a free port of this process' own loop, and clients for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import msgspec
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from arqueduct import events
from arqueduct.database import Database, Role
from arqueduct.events import JobMessage
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Job
from arqueduct.repositories import jobs
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct_backend import protocols
from arqueduct_backend.live.bridge import Bridge
from arqueduct_backend.live.limits import Limits
from arqueduct_backend.main import create_app
from arqueduct_backend.state import State
from tests.integration.completing import complete

PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True)
class LiveServer:
    """Where it answers, and what is inside."""

    port: int
    services: State
    server: uvicorn.Server

    def url(self, path: str = "/ws", scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/api/v1{path}"

    def socket(self, me: NewIdentity, path: str = "/ws", **options: Any) -> connect:
        return connect(self.url(path), additional_headers={"X-API-Key": me.api_key}, **options)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url("", "http"), timeout=PATIENCE)


@asynccontextmanager
async def serving(settings: Settings, limits: Limits | None = None) -> AsyncIterator[LiveServer]:
    """Runs until the block ends, then shuts down as for a SIGTERM."""
    app = create_app(settings, embedder=HashingEmbedder())
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=5,
        **protocols.OPTIONS,
    )
    server = uvicorn.Server(config)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        running = asyncio.create_task(server.serve([listener]))
        stack.push_async_callback(_stop, server, running)
        await until(lambda: server.started)
        services: State = app.state.services
        if limits is not None:
            bridge = Bridge(services.database, services.redis, services.keys, settings, limits)
            await bridge.start()
            stack.push_async_callback(bridge.stop)
            services = app.state.services = replace(services, bridge=bridge)
        yield LiveServer(port=listener.getsockname()[1], services=services, server=server)


async def _stop(server: uvicorn.Server, running: "asyncio.Task[None]") -> None:
    server.should_exit = True
    await running


async def until(holds: Callable[[], bool], within: float = PATIENCE) -> None:
    """Returns when the condition holds; fails after the deadline."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)


async def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    async with asyncio.timeout(PATIENCE):
        return dict(msgspec.json.decode(await client.recv()))


async def hear_until(client: ClientConnection, holds: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """All messages up to the first that fits."""
    heard = [await hear(client)]
    while not holds(heard[-1]):
        heard.append(await hear(client))
    return heard


async def snapshot(client: ClientConnection) -> list[dict[str, Any]]:
    """The jobs of the snapshot, after the greeting that comes first."""
    assert (await hear(client))["type"] == "hello"
    first = await hear(client)
    assert first["type"] == "snapshot"
    return list(first["jobs"])


async def closed(client: ClientConnection) -> int | None:
    """Reads until the server closes; its code."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE):
            while True:
                await client.recv()
    return client.close_code


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Moves jobs of one user as a worker does: the row first, then the message."""

    database: Database
    services: State
    me: NewIdentity

    async def create(self, **fields: Any) -> UUID:
        job = Job(id=new_id(), tenant_id=self.me.tenant_id, user_id=self.me.user_id, kind="document.ingest", **fields)
        async with self.database.transaction(self.me.tenant_id) as transaction:
            transaction.session.add(job)
            await transaction.session.flush()
            rows = await jobs.note_created(transaction.driver, [job.id])
        await self.say(jobs.message_of(rows[0]))
        return job.id

    async def claim(self, job_id: UUID, dispatch: int = 0) -> int:
        """The fence of the new attempt."""
        async with self.database.transaction() as transaction:
            lease = self.services.settings.lease_time
            (claimed,) = await jobs.claim(transaction.driver, [(job_id, dispatch)], "test", lease)
        return claimed.fence

    async def advance(self, job_id: UUID, fence: int, stage: str, progress: float, *, is_new: bool = False) -> None:
        step = jobs.Step(
            job_id=job_id,
            fence=fence,
            stage=stage,
            progress=progress,
            message=None,
            details={},
            eta_seconds=None,
            is_new_stage=is_new,
        )
        async with self.database.transaction() as transaction:
            (message,) = await jobs.advance(transaction.driver, [step])
        assert message is not None
        await self.say(message)

    async def complete(self, job_id: UUID, fence: int) -> None:
        async with self.database.transaction() as transaction:
            row = await complete(transaction.driver, job_id, fence)
        assert row is not None
        await self.say(jobs.message_of(row))

    async def say(self, message: JobMessage) -> None:
        await self.services.bus.publish([(self.me.user_id, events.encode(message))])


@asynccontextmanager
async def driving(server: LiveServer, me: NewIdentity) -> AsyncIterator[Driver]:
    """A worker's hands."""
    url = server.services.settings.worker_database_url
    assert url is not None
    database = Database(url.get_secret_value(), Role.WORKER, pool_size=3)
    try:
        yield Driver(database=database, services=server.services, me=me)
    finally:
        await database.aclose()


NewIdentities = Callable[[], Awaitable[NewIdentity]]
