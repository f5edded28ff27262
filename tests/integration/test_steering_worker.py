"""What users and orchestrators ask of real workers: cancel, pause, resume, stop; and two releases side by side."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest

from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.lifecycle import Action
from arqueduct.queue import Queue, WakeUp
from arqueduct.settings import Settings
from tests.integration.backend import client_of, serving
from tests.integration.launcher import Launched, Launcher, Program, launching, loading
from tests.integration.trial import BATCH, TEXT, Trial, redis_of, trying
from tests.integration.worker import until

SLOW = b"a " * 10_000_000
"""A parser cuts it into chunks for ten seconds and more of one CPU."""
FREE_SECONDS = 2.0
"""What docs/job-lifecycle.md promises for the CPU of a cancelled job."""
GRACE = 4.0
"""Enough for four requests of 0.4 s, and too little for `SLOW`."""
DELIVERIES = ["batch", "stock"]


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@dataclass(frozen=True, kw_only=True)
class Site:
    """An API to ask, and workers that do it."""

    trial: Trial
    api: httpx.AsyncClient
    launcher: Launcher

    async def worker(self, *, version: str | None = None, **changes: Any) -> Launched:
        """Started and ready; `changes` are of its settings."""
        launched = await self.launcher.start(self.trial.settings.model_copy(update=changes), version=version)
        await launched.ready()
        return launched

    async def ask(self, action: Action, job: UUID) -> Any:
        answer = await self.api.post(f"/api/v1/jobs/{job}/{action}")
        assert answer.status_code in (200, 202), answer.text
        return answer.json()


@pytest.fixture
async def site(settings: Settings, me: NewIdentity, launcher: Launcher) -> AsyncIterator[Site]:
    async with opening(settings, me, launcher) as opened:
        yield opened


@asynccontextmanager
async def opening(settings: Settings, me: NewIdentity, launcher: Launcher) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        trial = await stack.enter_async_context(trying(settings, me, lease=30.0, heartbeat=5.0))
        app = await stack.enter_async_context(serving(trial.settings))
        api = await stack.enter_async_context(client_of(app, me))
        yield Site(trial=trial, api=api, launcher=launcher)


def parsers_of(worker: Launched) -> list[Any]:
    return list(psutil.Process(worker.pid).children())


async def burning(site: Site, worker: Launched, job: UUID) -> psutil.Process:
    """The parser process that works for a job, once it really does."""
    await site.trial.reaches(job, stage="chunking")
    (parser,) = await asyncio.to_thread(parsers_of, worker)
    began = parser.cpu_times().user

    async def burns() -> bool:
        return bool(parser.cpu_times().user > began + 0.2)

    await until(burns, 20)
    return parser


async def dead_within(parser: psutil.Process, seconds: float) -> None:
    async def dead() -> bool:
        return not parser.is_running()

    await until(dead, seconds)


async def test_a_cancel_frees_the_cpu_at_once(site: Site) -> None:
    worker = await site.worker()
    job = await site.trial.deliver(SLOW)
    parser = await burning(site, worker, job)
    await site.ask(Action.CANCEL, job)
    await dead_within(parser, FREE_SECONDS)
    await site.trial.reaches(job, state="cancelled")
    assert await site.trial.outcomes(job) == ["cancelled"]
    assert await site.trial.left_in(worker.pid) == []
    assert await site.trial.broken_rules() == []


async def test_a_heartbeat_alone_frees_the_cpu_when_no_message_is_heard(site: Site) -> None:
    worker = await site.worker(heartbeat=0.5)
    job = await site.trial.deliver(SLOW)
    parser = await burning(site, worker, job)
    await site.trial.owner.execute("UPDATE jobs SET cancel_requested = true WHERE id = $1", job)
    await dead_within(parser, FREE_SECONDS)
    assert (await site.trial.reaches(job, state="cancelled"))["cancel_requested"] is False


async def test_deleting_a_running_document_frees_the_cpu(site: Site) -> None:
    worker = await site.worker()
    job = await site.trial.deliver(SLOW)
    parser = await burning(site, worker, job)
    document = (await site.trial.row(job))["document_id"]
    assert (await site.api.delete(f"/api/v1/documents/{document}")).is_success
    await dead_within(parser, FREE_SECONDS)
    assert (await site.trial.row(job))["state"] == "cancelled"


async def test_a_waiting_job_is_cancelled_at_once_though_every_slot_is_full(site: Site) -> None:
    site.trial.provider.latency = 0.5
    await site.worker(worker_concurrency=1)
    running = await site.trial.deliver()
    await site.trial.reaches(running, stage="embedding")
    waiting = await site.trial.deliver(b"It never gets a slot.")
    assert (await site.ask(Action.CANCEL, waiting))["state"] == "cancelled"
    later = await site.trial.deliver(b"It gets the slot instead.")
    await site.trial.reaches(later, state="completed")
    assert await site.trial.outcomes(running) == ["completed"]
    assert await site.trial.attempts(waiting) == []
    assert (await site.trial.row(waiting))["state"] == "cancelled"


async def test_a_pause_keeps_what_is_done_and_resume_pays_for_nothing_twice(site: Site) -> None:
    site.trial.provider.latency = 0.3
    await site.worker()
    job = await site.trial.deliver()

    async def kept(texts: int) -> bool:
        return bool(await site.trial.owner.fetchval("SELECT count(*) FROM embeddings") >= texts)

    await until(lambda: kept(BATCH), 20)
    await site.ask(Action.PAUSE, job)
    paused = await site.trial.reaches(job, state="paused")
    assert (paused["failures"], paused["lease_owner"], paused["pause_requested"]) == (0, None, False)
    had = await site.trial.owner.fetchval("SELECT count(*) FROM embeddings")
    assert had >= BATCH
    site.trial.provider.latency = 0
    await site.ask(Action.RESUME, job)
    await site.trial.reaches(job, state="completed")
    assert await site.trial.outcomes(job) == ["paused", "completed"]
    assert await site.trial.extractions() == 1
    assert site.trial.sold_again <= BATCH  # the request that was under way
    assert len(set(site.trial.provider.texts)) > had
    assert await site.trial.broken_rules() == []


async def test_a_paused_waiting_job_is_left_alone_until_it_is_resumed(site: Site) -> None:
    job = await site.trial.deliver()
    assert (await site.ask(Action.PAUSE, job))["state"] == "paused"
    await site.worker()
    other = await site.trial.deliver(b"Nobody paused this one.")
    await site.trial.reaches(other, state="completed")
    assert (await site.trial.row(job))["state"] == "paused"
    assert await site.trial.attempts(job) == []
    await site.ask(Action.RESUME, job)
    await site.trial.reaches(job, state="completed")


@pytest.mark.parametrize("delivery", DELIVERIES)
async def test_a_stopping_worker_finishes_what_it_can_and_hands_back_the_rest(delivery: str, site: Site) -> None:
    trial = site.trial
    trial.provider.latency = 0.4
    worker = await site.worker(worker_concurrency=2, shutdown_grace=GRACE, queue_worker=delivery, parsers=2)
    long = await trial.deliver(SLOW)
    await trial.reaches(long, stage="chunking")
    short = await trial.deliver(TEXT)
    await trial.reaches(short, stage="embedding")
    never = await trial.deliver(b"It has to wait for a slot, and then for another worker.")
    began = time.monotonic()
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0
    assert time.monotonic() - began < GRACE + FREE_SECONDS
    assert await trial.outcomes(short) == ["completed"]
    assert await trial.outcomes(long) == ["handed_back"]
    back = await trial.row(long)
    assert (back["state"], back["failures"], back["crashes"], back["dispatch"]) == ("queued", 0, 0, 1)
    assert (await trial.row(never))["fence"] == 0
    assert await trial.left_in(worker.pid) == []
    await site.worker(parsers=2)
    await trial.reaches(never, state="completed")


async def test_a_claim_that_comes_after_the_grace_period_is_handed_back_too(site: Site) -> None:
    trial = site.trial
    job = await trial.deliver()
    async with trial.owner.transaction():
        await trial.owner.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", job)
        worker = await site.worker(shutdown_grace=0.0)
        async with redis_of(trial.settings) as redis:
            queue = Queue(redis, Keys(prefix=trial.settings.redis_prefix))
            assert await queue.send([WakeUp(job, 0, datetime.now(UTC))])
        await until(lambda: waits_for_us(trial), 20)
        worker.send(signal.SIGTERM)
        for _ in range(5):  # turns of its event loop: it has heard the signal, and told all attempts to stop
            assert (await worker.probe("/livez")).is_success
    assert await worker.ended(5) == 0
    assert await trial.outcomes(job) == ["handed_back"]
    assert (await trial.row(job))["state"] == "queued"


async def waits_for_us(trial: Trial) -> bool:
    return bool(
        await trial.owner.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
    )


async def test_two_releases_share_a_queue(site: Site) -> None:
    site.trial.provider.latency = 0.2
    workers = [await site.worker(worker_concurrency=1, version=version) for version in ("1.9.0", "2.0.0")]
    jobs = [await site.trial.deliver(f"Document number {number} of both.".encode()) for number in range(6)]
    for job in jobs:
        await site.trial.reaches(job, state="completed")
    attempts = [attempt for job in jobs for attempt in await site.trial.attempts(job)]
    assert {attempt["version"] for attempt in attempts} == {"1.9.0", "2.0.0"}
    assert len(attempts) == len(jobs)
    known = await site.trial.owner.fetch("SELECT version FROM workers")
    assert sorted(row["version"] for row in known) == ["1.9.0", "2.0.0"]
    assert all(worker.is_running for worker in workers)
    assert await site.trial.broken_rules() == []
