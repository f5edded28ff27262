"""Redis away, Postgres away, a worker frozen: nothing is lost, and the worker goes on by itself.

The servers that are stopped here are the module's own.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from arqueduct import identity
from arqueduct.database import IDLE_SECONDS, Role
from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, remove
from arqueduct.embedded.process import free_port
from arqueduct.embedded.server import EmbeddedServer
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.repositories import jobs
from arqueduct.settings import Settings
from arqueduct.supervisor import bootstrap
from tests.integration.backend import client_of, serving, upload
from tests.integration.launcher import Launched, Launcher, Program, launching, loading
from tests.integration.many_jobs import owning
from tests.integration.trial import BATCH, Trial, redis_of, trying
from tests.integration.worker import until
from tests.servers import FAST_VALKEY

DURABLE = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}
"""The server is killed here, never the machine; a commit that was answered must survive that."""
TEMPLATE = "template_of_outages"
BACK_SECONDS = 15.0
"""A few sweeps of 0.2 s, and a second's pause of whoever had found the server away; the rest is a busy machine."""
ANSWER_SECONDS = 4.0
"""For an upload while Redis is silent: it waits for two seconds at most."""
DELIVERIES = ["batch", "stock"]


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@pytest.fixture(scope="module")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedValkey]:
    folder = tmp_path_factory.mktemp("own-valkey") / "valkey"
    async with running(EmbeddedValkey(folder, port=free_port(), settings=FAST_VALKEY)) as server:
        yield server


@pytest.fixture
async def trial(settings: Settings, me: NewIdentity, valkey: EmbeddedValkey) -> AsyncIterator[Trial]:
    """With a Redis of its own."""
    await asyncio.to_thread(valkey.start)  # the test before may have failed with it away
    async with trying(settings, me, redis_url=SecretStr(valkey.url()), lease=30.0) as prepared:
        yield prepared


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("own-postgres") / "postgres"
    async with running(EmbeddedPostgres(folder, port=free_port(), settings=DURABLE)) as server:
        await as_owner(server, f"CREATE DATABASE {TEMPLATE}")
        await bootstrap.bring_up_schema(server.url(database=TEMPLATE), Settings(embedder="local"))
        await bootstrap.let_roles_log_in(server)
        yield server


@pytest.fixture
async def own(settings: Settings, postgres: EmbeddedPostgres) -> Settings:
    """With a Postgres of its own."""
    await asyncio.to_thread(postgres.start)  # the test before may have failed with it away
    name = settings.redis_prefix
    await as_owner(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return settings.model_copy(
        update={
            "database_url": SecretStr(postgres.url(database=name)),
            "app_database_url": SecretStr(postgres.url(Role.APP, name)),
            "worker_database_url": SecretStr(postgres.url(Role.WORKER, name)),
        }
    )


@asynccontextmanager
async def running(server: Any) -> AsyncIterator[Any]:
    await asyncio.to_thread(server.start)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(remove, server.folder)


@asynccontextmanager
async def trying_own(own: Settings, **changes: Any) -> AsyncIterator[Trial]:
    assert own.database_url is not None
    url = own.database_url.get_secret_value()
    me = await identity.create(url, tenant="test", email=f"{own.redis_prefix}@example.org")
    async with trying(own, me, **changes) as prepared:
        yield prepared


async def as_owner(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def kill(server: EmbeddedServer, number: signal.Signals) -> None:
    os.kill(server.pid, number)
    await asyncio.to_thread(server.stop)


async def says(worker: Launched, dependency: str, *, ok: bool) -> None:
    """Waits until `/readyz` and the metric say so; the process lives all the while."""

    async def said() -> bool:
        answer: httpx.Response = await worker.probe("/readyz")
        return bool(answer.json()["checks"][dependency]["ok"]) is ok and answer.status_code == (200 if ok else 503)

    await until(said, BACK_SECONDS)
    assert await worker.metric(f'arqueduct_dependency_up{{dependency="{dependency}"}}') == float(ok)
    assert (await worker.probe("/livez")).status_code == 200


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_redis_goes_away_and_comes_back(
    delivery: str, trial: Trial, launcher: Launcher, valkey: EmbeddedValkey
) -> None:
    trial.provider.latency = 0.2
    worker = await launcher.start(trial.settings.model_copy(update={"queue_worker": delivery}))
    await worker.ready()
    await says(worker, "redis", ok=True)
    under_way = await trial.deliver()
    await trial.reaches(under_way, stage="embedding")
    await kill(valkey, signal.SIGKILL)
    await says(worker, "redis", ok=False)
    await trial.reaches(under_way, state="completed")
    meanwhile = await trial.deliver(b"Committed while nobody could be woken.")
    await asyncio.to_thread(valkey.start)
    await trial.reaches(meanwhile, BACK_SECONDS, state="completed")
    await says(worker, "redis", ok=True)
    assert await trial.outcomes(under_way) == await trial.outcomes(meanwhile) == ["completed"]
    assert await trial.broken_rules() == []


@contextmanager
def frozen(server: EmbeddedServer) -> Iterator[None]:
    """It keeps its connections, accepts new ones, and says nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_redis_says_nothing_for_a_while(trial: Trial, launcher: Launcher, valkey: EmbeddedValkey) -> None:
    trial.provider.latency = 0.2
    worker = await launcher.start(trial.settings)
    await worker.ready()
    async with serving(trial.settings) as app, client_of(app, trial.me) as api:
        await says(worker, "redis", ok=True)
        under_way = await trial.deliver()
        await trial.reaches(under_way, stage="embedding")
        with frozen(valkey):
            began = time.monotonic()
            accepted = await upload(api)
            assert time.monotonic() - began < ANSWER_SECONDS
            meanwhile = UUID(accepted["job"]["id"])
            await trial.reaches(under_way, state="completed")
            await says(worker, "redis", ok=False)
            assert (await trial.row(meanwhile))["state"] == "queued"
        await trial.reaches(meanwhile, BACK_SECONDS, state="completed")
        await says(worker, "redis", ok=True)
    assert await trial.outcomes(under_way) == await trial.outcomes(meanwhile) == ["completed"]
    assert await trial.broken_rules() == []


async def test_a_silent_redis_keeps_no_lapsed_job_waiting(
    trial: Trial, launcher: Launcher, valkey: EmbeddedValkey
) -> None:
    """The sweeper asks Redis for a wake-up that nobody follows, hears nothing, and looks at the leases all the same."""
    settings = trial.settings.model_copy(update={"worker_concurrency": 1})
    trial.provider.latency = 0.2
    await launcher.start(settings)
    await trial.reaches(await trial.deliver(), stage="embedding")
    await trial.deliver(b"It waits on the run-way.")
    await all_dispatched(trial)
    with frozen(valkey):
        dead = await trial.deliver(b"Its worker has died.")
        assert await jobs.claim(trial.owner, [(dead, 0)], "a dead worker", timedelta(seconds=1))
        await trial.reaches(dead, BACK_SECONDS, state="queued")
        assert await trial.outcomes(dead) == ["worker_died"]


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_redis_loses_everything(delivery: str, trial: Trial, launcher: Launcher) -> None:
    await launcher.start(trial.settings.model_copy(update={"queue_worker": delivery, "worker_concurrency": 1}))
    trial.provider.latency = 0.5
    waiting = [await trial.deliver(f"Document {number} waits for its turn.".encode()) for number in range(4)]
    await all_dispatched(trial)
    assert (await trial.row(waiting[-1]))["state"] == "queued"
    async with redis_of(trial.settings) as redis:
        await redis.flushall()
    for job in waiting:
        await trial.reaches(job, BACK_SECONDS, state="completed")
        assert await trial.outcomes(job) == ["completed"]
    assert await trial.broken_rules() == []


async def all_dispatched(trial: Trial) -> None:
    """Waits until Redis knows of every job that waits."""

    async def dispatched() -> bool:
        return not await trial.owner.fetchval(
            "SELECT count(*) FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL"
        )

    await until(dispatched, BACK_SECONDS)


async def test_a_worker_that_starts_without_redis_waits_for_it(
    trial: Trial, launcher: Launcher, valkey: EmbeddedValkey
) -> None:
    await kill(valkey, signal.SIGKILL)
    job = await trial.deliver()
    worker = await launcher.start(trial.settings)
    await worker.ready()
    await says(worker, "redis", ok=False)
    await asyncio.to_thread(valkey.start)
    await trial.reaches(job, BACK_SECONDS, state="completed")
    await says(worker, "redis", ok=True)


async def test_postgres_is_back_before_the_lease_is_over_and_the_end_is_recorded(
    own: Settings, launcher: Launcher, postgres: EmbeddedPostgres
) -> None:
    async with trying_own(own, lease=30.0, heartbeat=0.5) as trial:
        worker, job = await embedding(trial, launcher)
        await kill(postgres, signal.SIGQUIT)
        await says(worker, "database", ok=False)
        await asyncio.to_thread(postgres.start)
        async with looking_again(trial) as again:
            await again.reaches(job, BACK_SECONDS, state="completed")
            retried, completed = await again.attempts(job)
            assert (retried["outcome"], retried["code"]) == ("retried", "dependency_unavailable")
            assert retried["stage"] == "embedding"
            assert "Postgres is away" in retried["message"]
            assert completed["outcome"] == "completed"
            assert again.sold_again <= BATCH  # whose vectors could not be kept
            await says(worker, "database", ok=True)
            assert await again.broken_rules() == []


async def test_an_attempt_stops_before_its_lease_can_lapse_while_postgres_is_away(
    own: Settings, launcher: Launcher, postgres: EmbeddedPostgres
) -> None:
    async with trying_own(own, lease=6.0, heartbeat=0.5) as trial:
        worker, job = await embedding(trial, launcher, latency=8)  # longer than the lease
        lease_until = (await trial.row(job))["lease_until"]
        await kill(postgres, signal.SIGQUIT)

        async def stopped() -> bool:
            return await worker.metric("active_processing_jobs") == 0

        await until(stopped, trial.settings.lease)
        assert await worker.metric("arqueduct_lease_losses_total") == 1
        assert worker.is_running
        trial.provider.latency = 0
        await asyncio.to_thread(postgres.start)
        async with looking_again(trial) as again:
            await again.reaches(job, BACK_SECONDS, state="completed")
            died, completed = await again.attempts(job)
            assert (died["outcome"], completed["outcome"]) == ("worker_died", "completed")
            assert completed["started_at"] > lease_until
            assert (await again.row(job))["failures"] == 0
            assert await again.broken_rules() == []


async def test_a_wake_up_that_could_not_be_claimed_is_not_acknowledged(
    own: Settings, launcher: Launcher, postgres: EmbeddedPostgres
) -> None:
    async with trying_own(own, lease=3.0, heartbeat=0.2, redispatch=600.0, worker_concurrency=1) as trial:
        worker, _ = await embedding(trial, launcher, latency=5)  # longer than the lease
        waiting = await trial.deliver(b"It waits in Redis while Postgres goes.")
        await all_dispatched(trial)
        await kill(postgres, signal.SIGQUIT)
        name = f"{waiting}:0"
        async with redis_of(trial.settings) as redis:
            put_back = Keys(prefix=trial.settings.redis_prefix).queue
            first = await redis.zscore(put_back, name)

            async def tried() -> bool:
                score = await redis.zscore(put_back, name)
                return score is not None and score != first

            await until(tried, BACK_SECONDS)
        assert worker.is_running
        trial.provider.latency = 0
        await asyncio.to_thread(postgres.start)
        async with looking_again(trial) as again:
            done = await again.reaches(waiting, 30, state="completed")
            assert await again.outcomes(waiting) == ["completed"]
            assert done["dispatch"] == 0  # nobody sent it again: the one wake-up was kept


async def test_a_worker_that_starts_without_postgres_waits_for_it_and_can_be_stopped(
    own: Settings, launcher: Launcher, postgres: EmbeddedPostgres
) -> None:
    async with trying_own(own) as trial:
        job = await trial.deliver()
        await kill(postgres, signal.SIGQUIT)
        impatient, patient = await launcher.start(trial.settings), await launcher.start(trial.settings)
        await until(lambda: opened_workspaces(trial.settings.temporary_dir, 2), BACK_SECONDS)
        impatient.send(signal.SIGTERM)
        assert await impatient.ended() == 0
        assert await opened_workspaces(trial.settings.temporary_dir, 1)
        assert patient.is_running
        await asyncio.to_thread(postgres.start)
        async with looking_again(trial) as again:
            await again.reaches(job, BACK_SECONDS, state="completed")


async def test_a_frozen_worker_that_wakes_up_writes_nothing(
    settings: Settings, me: NewIdentity, launcher: Launcher
) -> None:
    async with trying(settings, me, lease=3.0, heartbeat=0.2) as trial:
        frozen, job = await embedding(trial, launcher)
        frozen.send(signal.SIGSTOP)
        trial.provider.latency = 0
        other = await launcher.start(trial.settings)
        # Frozen inside a transaction it keeps its row until Postgres has had enough of an idle one.
        await trial.reaches(job, IDLE_SECONDS + BACK_SECONDS, state="completed")
        assert await trial.outcomes(job) == ["worker_died", "completed"]
        before = await everything(trial)
        frozen.send(signal.SIGCONT)

        async def noticed() -> bool:
            is_over = await frozen.metric("active_processing_jobs") == 0
            return is_over and await frozen.metric("arqueduct_lease_losses_total") == 1

        await until(noticed, BACK_SECONDS)
        assert await everything(trial) == before
        await other.kill()
        later = await trial.deliver(b"The thawed worker is as good as any.")
        await trial.reaches(later, state="completed")
        assert await trial.broken_rules() == []


async def embedding(trial: Trial, launcher: Launcher, *, latency: float = 0.5) -> tuple[Launched, UUID]:
    """A worker in the middle of a job."""
    trial.provider.latency = latency
    worker = await launcher.start(trial.settings)
    job = await trial.deliver()

    async def bought() -> bool:
        return len(trial.provider.requests) > (1 if latency < 1 else 0)

    await until(bought, BACK_SECONDS)
    return worker, job


@asynccontextmanager
async def looking_again(trial: Trial) -> AsyncIterator[Trial]:
    """The connection to a Postgres that was killed is gone."""
    async with owning(trial.settings) as owner:
        yield replace(trial, owner=owner)


async def everything(trial: Trial) -> dict[str, list[Any]]:
    """All rows that an attempt may write."""
    tables = {"jobs": "id", "job_attempts": "job_id, attempt", "job_events": "job_id, seq", "chunks": "id"}
    tables |= {"documents": "id", "embeddings": "text_hash"}
    return {table: await trial.owner.fetch(f"SELECT * FROM {table} ORDER BY {key}") for table, key in tables.items()}


async def opened_workspaces(folder: Path, count: int) -> bool:
    return await asyncio.to_thread(lambda: len(list(folder.glob("worker-*/"))) == count)
