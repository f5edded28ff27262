"""A heartbeat that fails for a reason nobody thought of: the next one comes all the same."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from arqueduct.database import Database
from arqueduct.ids import new_id
from arqueduct.settings import Settings
from arqueduct_worker.leases import Leases, Stop
from tests.integration.many_jobs import Owner, owning
from tests.integration.worker import until

INTERVAL = 0.05


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@asynccontextmanager
async def beating(leases: Leases) -> "AsyncIterator[asyncio.Task[None]]":
    task = asyncio.create_task(leases.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_table_that_is_not_there_ends_no_heartbeats(worker_database: Database, owner: Owner) -> None:
    leases = Leases(worker_database, lease=timedelta(seconds=60), interval=INTERVAL)

    async def missed() -> bool:
        return leases.silent_for > 10 * INTERVAL

    async def confirmed() -> bool:
        return leases.silent_for < 2 * INTERVAL

    async with beating(leases) as task:
        await until(confirmed)
        await owner.execute("ALTER TABLE jobs RENAME TO jobs_elsewhere")
        await until(missed)
        assert not task.done()
        await owner.execute("ALTER TABLE jobs_elsewhere RENAME TO jobs")
        await until(confirmed)


async def test_it_too_ends_attempts_before_their_leases_lapse(worker_database: Database, owner: Owner) -> None:
    leases = Leases(worker_database, lease=timedelta(seconds=1.5), interval=INTERVAL)
    await owner.execute("ALTER TABLE jobs RENAME TO jobs_elsewhere")
    with leases.hold(new_id(), 1, confirmed_at=time.monotonic()) as lease:
        lease.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]  # what it returns is never asked
        async with beating(leases) as task:
            await asyncio.wait({lease.task}, timeout=10)
            assert not task.done()
    assert lease.stop is Stop.LOST
