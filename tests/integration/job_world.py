"""A database for something that is not a coroutine, as a state machine of hypothesis is not."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from arqueduct.database import Database, Role
from arqueduct.settings import Settings
from tests.integration.crowd import Crowd, Flow, crowding

T = TypeVar("T")

ANSWER_SECONDS = 30


class World:
    """A database, and a loop in a thread of its own: a state machine is not a coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.app: Database
        self.worker: Database
        self.crowd: Crowd
        self.flows: list[Flow]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)

    async def hold_open(self, settings: Settings, opened: "asyncio.Event", closing: "asyncio.Event") -> None:
        assert settings.database_url is not None
        assert settings.app_database_url is not None
        assert settings.worker_database_url is not None
        self.app = Database(settings.app_database_url.get_secret_value(), Role.APP, pool_size=1)
        self.worker = Database(settings.worker_database_url.get_secret_value(), Role.WORKER, pool_size=1)
        try:
            async with crowding(settings.database_url.get_secret_value(), self.worker) as self.crowd:
                self.flows = [await self.crowd.tenant() for _ in range(2)]
                opened.set()
                await closing.wait()
        finally:
            opened.set()
            await self.app.aclose()
            await self.worker.aclose()

    async def as_worker(self, act: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> T:
        async with self.worker.transaction() as transaction:
            return await act(transaction.driver, *args, **options)

    async def as_user(self, tenant_id: UUID, act: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        async with self.app.transaction(tenant_id) as transaction:
            return await act(transaction.driver, *args)


@contextmanager
def a_world(settings: Settings) -> Iterator[World]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    world = World(loop)
    opened, closing = asyncio.Event(), asyncio.Event()
    holding = asyncio.run_coroutine_threadsafe(world.hold_open(settings, opened, closing), loop)
    try:
        world.run(opened.wait())
        yield world
    finally:
        loop.call_soon_threadsafe(closing.set)
        holding.result(ANSWER_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
