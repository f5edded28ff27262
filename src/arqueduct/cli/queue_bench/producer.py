"""Creates jobs as an API process does, and hears of their ends as a user does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from arq.connections import ArqRedis
from redis.asyncio.client import PubSub

from arqueduct import events
from arqueduct.admitter import Admitter
from arqueduct.bus import Bus, connect
from arqueduct.cli.queue_bench.crew import Staff
from arqueduct.cli.queue_bench.noop_worker import KIND
from arqueduct.cli.queue_bench.side import AT_ONCE, run_seconds
from arqueduct.database import Database, Role
from arqueduct.dispatcher import Dispatcher
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.queue import Queue
from arqueduct.repositories import jobs
from arqueduct.settings import Settings

__all__ = ["DEFAULTS", "Producer", "open_producer"]

DEFAULTS = Settings.model_construct(embedder="local")
"""As the product comes, whatever the environment says."""

LOOK_SECONDS = 0.05
"""Between two looks whether all have ended; when each did is noted as it is heard."""

_INSERT = "INSERT INTO jobs (id, tenant_id, user_id, kind) SELECT id, $2, $3, $4 FROM unnest($1::uuid[]) AS new(id)"


class Producer:
    """Has what an API process has: connections as the role of the app, an admitter, and the channel of its user."""

    def __init__(self, database: Database, dispatcher: Dispatcher, me: NewIdentity) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._me = me
        self._ends: dict[UUID, float] = {}
        self._listening: asyncio.Task[None] | None = None

    async def carry(self, count: int, staff: Staff) -> list[float]:
        """Creates jobs, and waits until each was heard to be completed. See `Side.run`."""
        self._ends.clear()
        began = time.monotonic()
        for begin in range(0, count, AT_ONCE):
            await self._create(min(AT_ONCE, count - begin))

        async def have_ended() -> bool:
            if self._listening and self._listening.done():
                self._listening.result()
            return len(self._ends) >= count

        await staff.until(have_ended, seconds=run_seconds(count), look=LOOK_SECONDS)
        return sorted(end - began for end in self._ends.values())

    @asynccontextmanager
    async def listening(self, redis: ArqRedis, channel: str) -> AsyncIterator[None]:
        """Hears what its user is told meanwhile."""
        async with redis.pubsub() as channels:
            await channels.subscribe(channel)
            confirmed = asyncio.Event()
            self._listening = asyncio.create_task(self._listen(channels, confirmed))
            try:
                await confirmed.wait()
                yield
            finally:
                self._listening.cancel()
                await asyncio.wait({self._listening})

    async def _listen(self, channels: PubSub, confirmed: asyncio.Event) -> None:
        while True:
            said = await channels.get_message(timeout=1)
            if said is not None and said["type"] == "subscribe":
                confirmed.set()
            elif said is not None and (message := events.decode(said["data"])).type == "job_completed":
                self._ends.setdefault(message.job_id, time.monotonic())

    async def _create(self, count: int) -> None:
        ids = [new_id() for _ in range(count)]
        async with self._database.transaction(self._me.tenant_id) as transaction:
            await transaction.driver.execute(_INSERT, ids, self._me.tenant_id, self._me.user_id, KIND)
            created = await jobs.note_created(transaction.driver, ids)
        await self._dispatcher.dispatch(created)


@asynccontextmanager
async def open_producer(database_url: str, redis_url: str, keys: Keys, me: NewIdentity) -> AsyncIterator[Producer]:
    """Opens and closes everything as an API process does."""
    async with AsyncExitStack() as stack:
        database = Database(database_url, Role.APP, pool_size=DEFAULTS.database_pool_size, name="arqueduct bench")
        stack.push_async_callback(database.aclose)
        redis = connect(redis_url, keys)
        stack.push_async_callback(redis.aclose)
        admitter = Admitter(database, Queue(redis, keys), alive=DEFAULTS.alive_time, interval=DEFAULTS.sweep)
        admitting = asyncio.create_task(admitter.run())
        stack.callback(admitting.cancel)
        stack.push_async_callback(admitter.stop)
        producer = Producer(database, Dispatcher(Bus(redis, keys), admitter), me)
        await stack.enter_async_context(producer.listening(redis, keys.live(me.user_id)))
        yield producer
