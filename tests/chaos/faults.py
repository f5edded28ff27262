"""Everything that can break, broken at random: the seed decides what and when, the machine decides what it meets."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import redis.asyncio as redis
from redis.exceptions import RedisError

from arqueduct.bus import MOST_SECONDS
from arqueduct.embedded import EmbeddedValkey
from tests.chaos.site import Member, Site

__all__ = ["Faults"]

WEIGHTS = {
    "SIGKILL of a worker": 5,
    "SIGSTOP of a worker, SIGCONT after its lease": 3,
    "SIGTERM of a worker": 3,
    "SIGKILL of the API": 1,
    "FLUSHALL": 3,
    "kill and restart of Valkey": 2,
    "SIGSTOP of Valkey, SIGCONT after seconds": 2,
    "end of all Postgres connections": 3,
    "kill and restart of Postgres": 2,
    "429 and 500 of the embedding provider": 4,
}
REFUSALS = 5
"""Requests in a row that the provider does not serve."""
PAST_LEASE = 1.3
"""Leases that a stopped worker sleeps: another one has its jobs when it wakes up."""
FROZEN_SECONDS = 1.5 * MOST_SECONDS
"""That Valkey keeps its connections and says nothing: longer than anybody waits who publishes or sends."""


@dataclass
class Faults:
    """Breaks a site. `count` says what was done how often, `log` when."""

    site: Site
    chance: random.Random
    count: Counter[str] = field(default_factory=Counter)
    log: list[tuple[float, str]] = field(default_factory=list)
    _is_frozen: bool = False
    """Valkey, by SIGSTOP."""
    _asleep: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def rage(self, seconds: float, pause: float) -> None:
        """Each kind once at least if there is time, in random order; afterwards nothing is broken any more."""
        acts: dict[str, Callable[[], Awaitable[bool]]] = dict(
            zip(
                WEIGHTS,
                (
                    self._kill,
                    self._suspend,
                    self._terminate,
                    self._kill_api,
                    self._flush,
                    self._restart_valkey,
                    self._freeze_valkey,
                    self._disconnect,
                    self._restart_postgres,
                    self._refuse,
                ),
                strict=True,
            )
        )
        deadline = time.monotonic() + seconds
        coming = self.chance.sample(list(WEIGHTS), len(WEIGHTS))
        try:
            while time.monotonic() < deadline:
                await asyncio.sleep(self.chance.uniform(0, 2 * pause))
                kind = coming.pop() if coming else self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
                self.log.append((time.time(), kind))
                if await acts[kind]():
                    self.count[kind] += 1
            await asyncio.gather(*self._asleep)
        finally:
            for waking in self._asleep:
                waking.cancel()

    async def _kill(self) -> bool:
        return self._awake().hit(signal.SIGKILL)

    async def _terminate(self) -> bool:
        return self._awake().hit(signal.SIGTERM)

    async def _kill_api(self) -> bool:
        return self.site.api.hit(signal.SIGKILL)

    async def _suspend(self) -> bool:
        """Wakes it up in the background: other faults meet the others meanwhile."""
        worker = self._awake()
        if not worker.hit(signal.SIGSTOP):
            return False
        self._meanwhile(self._wake(worker))
        return True

    async def _wake(self, worker: Member) -> None:
        await asyncio.sleep(PAST_LEASE * self.site.settings.lease)
        worker.hit(signal.SIGCONT)

    async def _freeze_valkey(self) -> bool:
        if self._is_frozen:
            return False
        self._is_frozen = True
        os.kill(self.site.valkey.pid, signal.SIGSTOP)
        self._meanwhile(self._thaw(self.site.valkey))
        return True

    async def _thaw(self, valkey: EmbeddedValkey) -> None:
        """One that is killed meanwhile stays dead."""
        try:
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            self._is_frozen = False
            if valkey.alive():
                os.kill(valkey.pid, signal.SIGCONT)

    def _meanwhile(self, waking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(waking)
        self._asleep.add(task)
        task.add_done_callback(self._asleep.discard)

    def _awake(self) -> Member:
        """A worker that is not stopped, if there is one."""
        workers = self.site.workers
        return self.chance.choice([worker for worker in workers if not worker.is_stopped] or workers)

    async def _flush(self) -> bool:
        client = redis.Redis.from_url(self.site.valkey.url())
        with suppress(RedisError, OSError):
            await client.flushall()
        await client.aclose()
        return True

    async def _restart_valkey(self) -> bool:
        await self.site.restart_valkey()
        return True

    async def _restart_postgres(self) -> bool:
        await self.site.restart_postgres()
        return True

    async def _disconnect(self) -> bool:
        connection: asyncpg.Connection = await self.site.connect()
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()
        return True

    async def _refuse(self) -> bool:
        for _ in range(REFUSALS):
            if self.chance.random() < 0.5:
                self.site.provider.answer_next(429, retry_after="1")
            else:
                self.site.provider.answer_next(500)
        return True
