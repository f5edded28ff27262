"""How many connections a worker has to Postgres: as many as its settings say, however many jobs it runs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from arqueduct.errors import DependencyUnavailable
from arqueduct.identity import NewIdentity
from arqueduct.pipeline import Stage, StageContext
from arqueduct.settings import Settings
from arqueduct_worker.main import VITAL_CONNECTIONS
from tests.integration.many_jobs import Owner, insert_many, owning, states
from tests.integration.wire import Wire, wired
from tests.integration.worker import TestWorker, until, working
from tests.servers import Servers

JOBS = 64
POOL = 4
LEASE = 60.0
"""Nobody loses a job here."""


@pytest.fixture
async def wire(servers: Servers) -> AsyncIterator[Wire]:
    async with wired(servers.postgres.port) as opened:
        yield opened


@pytest.fixture
async def worker(settings: Settings, wire: Wire, me: NewIdentity) -> AsyncIterator[TestWorker]:
    """Runs more jobs than it has connections for."""
    update = {
        "worker_database_url": SecretStr(wire.url(settings.worker_database_url)),
        "worker_concurrency": JOBS,
        "database_pool_size": POOL,
        "lease": LEASE,
    }
    async with working(settings.model_copy(update=update), me) as running:
        yield running


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


class Storing(Stage):
    """All jobs are here together, and as many as can be are in their last transaction until the test lets them go."""

    name = "store"
    label = "storing"
    weight = 1

    def __init__(self) -> None:
        self.begun = self.inside = self.most = self.failed = 0
        self.go_on = asyncio.Event()

    async def run(self, context: StageContext) -> None:
        self.begun += 1
        try:
            async with context.completion() as transaction:
                self.inside += 1
                self.most = max(self.most, self.inside)
                await self.go_on.wait()
                await transaction.driver.execute("SELECT 1")
                self.inside -= 1
        except DependencyUnavailable:
            self.failed += 1
            raise

    async def is_full(self) -> bool:
        return (self.begun, self.inside) == (JOBS, POOL)

    async def has_failed(self) -> bool:
        """Every attempt has heard that Postgres is away, and tries to write that down."""
        return self.failed == JOBS


def running(worker: TestWorker, stage: Stage, ids: list[str]) -> "asyncio.Future[list[None]]":
    return asyncio.gather(*(worker.with_stages(stage).run(UUID(job_id)) for job_id in ids))


async def test_many_jobs_take_turns_at_few_connections(worker: TestWorker, me: NewIdentity, owner: Owner) -> None:
    ids, stage = await insert_many(owner, me, "queued", JOBS), Storing()
    jobs = running(worker, stage, ids)
    await until(stage.is_full)
    assert await connections(owner, "arqueduct-worker-jobs") == POOL
    assert await connections(owner, "arqueduct-worker") <= VITAL_CONNECTIONS
    now = await owner.fetchval("SELECT now()")
    await until(lambda: renewed(owner, ids, now))
    assert await stage.is_full(), "heartbeats wait for no job"
    stage.go_on.set()
    await jobs
    assert await states(owner, ids) == {"completed": JOBS}
    assert stage.most == POOL
    assert await connections(owner, "arqueduct-worker%") <= POOL + VITAL_CONNECTIONS


async def test_who_waits_for_a_turn_when_postgres_goes_away_is_tried_again(
    worker: TestWorker, me: NewIdentity, owner: Owner, wire: Wire
) -> None:
    ids, stage = await insert_many(owner, me, "queued", JOBS), Storing()
    jobs = running(worker, stage, ids)
    await until(stage.is_full)
    wire.is_away = True
    await wire.cut()
    stage.go_on.set()
    await until(stage.has_failed)
    assert await states(owner, ids) == {"running": JOBS}
    wire.is_away = False
    await jobs
    assert await states(owner, ids) == {"queued": JOBS}
    assert await outcomes(owner, ids) == {("retried", "dependency_unavailable"): JOBS}
    assert worker.services.stage_database.in_use == 0


async def connections(owner: Owner, name: str) -> int:
    """Of this name, to the test's database."""
    found: int = await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1", name
    )
    return found


async def renewed(owner: Owner, ids: list[str], since: datetime) -> bool:
    """Whether all leases were."""
    least: datetime = await owner.fetchval("SELECT min(lease_until) FROM jobs WHERE id = ANY ($1)", ids)
    return least > since + timedelta(seconds=LEASE)


async def outcomes(owner: Owner, ids: list[str]) -> dict[tuple[str, str], int]:
    rows = await owner.fetch(
        "SELECT outcome, code, count(*) FROM job_attempts WHERE job_id = ANY ($1) GROUP BY 1, 2", ids
    )
    return {(row["outcome"], row["code"]): row["count"] for row in rows}
