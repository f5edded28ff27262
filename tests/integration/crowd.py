"""Jobs in thousands, of many tenants and users, and what an administrator says about their queue."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from arqueduct.database import Database, Driver
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Priority
from arqueduct.queue import WakeUp
from arqueduct.repositories import admission, jobs, sweeps
from tests.integration.completing import complete

KIND = "test.work"
ALIVE = timedelta(seconds=30)
CHUNK = 1000


class Flow(NamedTuple):
    """Whose jobs."""

    tenant_id: UUID
    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """A database with many waiting jobs, as workers and administrators see it."""

    database: Database
    owner: "asyncpg.Connection[asyncpg.Record]"
    """As the owner of the tables."""

    async def tenant(self) -> Flow:
        """A new tenant with one user."""
        tenant_id = new_id()
        await self.owner.execute("INSERT INTO tenants (id, name) VALUES ($1, 'test')", tenant_id)
        return await self.colleague(tenant_id)

    async def colleague(self, tenant_id: UUID) -> Flow:
        """One more user of the tenant."""
        user_id = new_id()
        await self.owner.execute(
            "INSERT INTO users (id, email, password_hash) VALUES ($1, $2, '')", user_id, str(user_id)
        )
        return Flow(tenant_id, user_id)

    async def queue(
        self,
        flow: Flow | NewIdentity,
        count: int = 1,
        *,
        kind: str = KIND,
        priority: Priority = Priority.NORMAL,
        delay: timedelta = timedelta(0),
    ) -> list[UUID]:
        """Commits jobs without a document, a thousand a transaction; returns their ids in order."""
        ids = [new_id() for _ in range(count)]
        for chunk in (ids[start : start + CHUNK] for start in range(0, count, CHUNK)):
            async with self.database.transaction() as transaction:
                await transaction.driver.execute(
                    "INSERT INTO jobs (id, tenant_id, user_id, kind, priority, run_after) "
                    "SELECT unnest($1::uuid[]), $2, $3, $4, $5, now() + $6::interval",
                    chunk,
                    flow.tenant_id,
                    flow.user_id,
                    kind,
                    priority,
                    delay,
                )
                await jobs.note_created(transaction.driver, chunk)
        return ids

    async def rule(self, scope: str, name: object, **values: object) -> None:
        """What an administrator sets; what is not given is as in a new rule."""
        await self.owner.execute("DELETE FROM queue_rules WHERE scope = $1 AND name = $2", scope, str(name))
        await self.owner.execute(
            "INSERT INTO queue_rules (scope, name, is_paused, max_running, weight) VALUES ($1, $2, $3, $4, $5)",
            scope,
            str(name),
            values.get("is_paused", False),
            values.get("max_running"),
            values.get("weight", 1.0),
        )

    async def worker(self, concurrency: int, name: str = "worker-1") -> None:
        """A sign of life."""
        async with self.database.transaction() as transaction:
            await sweeps.beat(transaction.driver, name, version="0", concurrency=concurrency, running=0)

    async def admit(self) -> list[WakeUp]:
        """One look."""
        async with self.database.autocommit() as driver:
            return await self.admit_on(driver)

    async def admit_on(self, driver: Driver) -> list[WakeUp]:
        """One look on this connection."""
        return (await admission.admit(driver, alive=ALIVE)).wake_ups

    async def flood(self, flow: Flow, count: int) -> None:
        """As `queue`, quickly and without history."""
        await self.owner.execute(
            "INSERT INTO jobs (id, tenant_id, user_id, kind, turn) "
            "SELECT gen_random_uuid(), $1, $2, $3, turn FROM generate_series(1, $4) turn",
            flow.tenant_id,
            flow.user_id,
            KIND,
            count,
        )

    async def rows_read(self, driver: Driver) -> int:
        """Of `jobs` and its indexes, by the statements of this connection and all others so far."""
        await driver.execute("SELECT pg_stat_force_next_flush()")
        found: int = await self.owner.fetchval(
            "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs')::bigint "
            "+ (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'jobs')"
        )
        return found

    async def claim(self, wake_ups: Sequence[WakeUp]) -> list[tuple[UUID, int]]:
        """Ids and fences of those that run now."""
        async with self.database.transaction() as transaction:
            claimed = await jobs.claim(
                transaction.driver, [(found.job_id, found.dispatch) for found in wake_ups], "worker-1", ALIVE
            )
        return [(found.id, found.fence) for found in claimed]

    async def complete(self, attempt: tuple[UUID, int]) -> None:
        async with self.database.transaction() as transaction:
            assert await complete(transaction.driver, *attempt) is not None

    async def retry(self, attempt: tuple[UUID, int]) -> None:
        """The attempt failed; the job is due again at once."""
        async with self.database.transaction() as transaction:
            assert (
                await jobs.retry_later(transaction.driver, *attempt, {"message": "x"}, delay=timedelta(0)) is not None
            )

    async def finish(self, wake_ups: Sequence[WakeUp]) -> None:
        """Claims and completes."""
        for attempt in await self.claim(wake_ups):
            await self.complete(attempt)

    async def tenants_of(self, ids: Sequence[UUID]) -> list[UUID]:
        """Whose they are, in the same order."""
        rows = await self.owner.fetch("SELECT id, tenant_id FROM jobs WHERE id = ANY ($1)", ids)
        owners = {row["id"]: row["tenant_id"] for row in rows}
        return [owners[job_id] for job_id in ids]


@dataclass(kw_only=True)
class Consumer:
    """Workers with a few slots: fills them in the order of admission, then ends the oldest job, and so on."""

    crowd: Crowd
    slots: int = 1
    waiting: deque[WakeUp] = field(default_factory=deque)
    running: deque[tuple[UUID, int]] = field(default_factory=deque)

    async def begin(self) -> UUID:
        """The job that is begun next."""
        if len(self.running) == self.slots:
            await self.crowd.complete(self.running.popleft())
            self.waiting.extend(await self.crowd.admit())
        if not self.waiting:
            self.waiting.extend(await self.crowd.admit())
        (attempt,) = await self.crowd.claim([self.waiting.popleft()])
        self.running.append(attempt)
        self.waiting.extend(await self.crowd.admit())
        return attempt[0]

    async def begin_many(self, count: int) -> list[UUID]:
        return [await self.begin() for _ in range(count)]

    async def shares(self, count: int) -> Counter[UUID]:
        """Of the next jobs, how many are whose."""
        return Counter(await self.crowd.tenants_of(await self.begin_many(count)))


@asynccontextmanager
async def crowding(url: str, database: Database) -> AsyncIterator[Crowd]:
    """`url`: of the owner of the tables."""
    owner = await asyncpg.connect(url)
    try:
        yield Crowd(database=database, owner=owner)
    finally:
        await owner.close()
