"""Attempts that do not stop as they should, or were told to by mistake: none hangs, and none fails for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from arq.connections import ArqRedis

from arqueduct.bus import Bus
from arqueduct.database import Database
from arqueduct.events import Control
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.lifecycle import Action
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import steering
from arqueduct.settings import Settings
from arqueduct_worker import attempt, control
from arqueduct_worker.leases import Stop
from tests.integration.test_ingest import Slow
from tests.integration.worker import TestWorker, row, submit, until, working

MOST_SECONDS = 10.0
"""A busy machine; an attempt that hangs would never end."""


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    # The lease of one that is alive must not lapse on a busy machine.
    async with working(settings.model_copy(update={"lease": 30.0}), me) as running:
        yield running


class Deaf(Stage):
    """Swallows as many cancellations as it is told, as Python 3.11's `wait_for` may."""

    name = "deaf"
    label = "waiting"
    weight = 1.0

    def __init__(self, times: int) -> None:
        self.began = asyncio.Event()
        self.swallowed = 0
        self._times = times

    async def run(self, context: StageContext) -> None:
        self.began.set()
        while self.swallowed < self._times:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            self.swallowed += 1
        await asyncio.Event().wait()


class GivesUp(Stage):
    """Cancels its own task, as a library that mixes up its scopes does."""

    name = "gives_up"
    label = "giving up"
    weight = 1.0

    async def run(self, context: StageContext) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()


async def attempts(worker: TestWorker, job_id: Any) -> list[dict[str, Any]]:
    async with worker.services.database.transaction() as transaction:
        rows = await transaction.driver.fetch("SELECT * FROM job_attempts WHERE job_id = $1 ORDER BY attempt", job_id)
    return [dict(found) for found in rows]


@asynccontextmanager
async def listening(worker: TestWorker, redis: ArqRedis, keys: Keys) -> AsyncIterator[None]:
    """To what users ask, as in a worker process."""
    task = asyncio.create_task(control.listen(redis, keys, worker.services.leases))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stage_that_swallows_its_cancellations_is_told_again(
    worker: TestWorker, me: NewIdentity, app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "CANCEL_AGAIN_SECONDS", 0.1)
    job = await submit(worker, me, b"text", format=Format.TEXT)
    deaf = Deaf(times=3)
    running = asyncio.create_task(worker.with_stages(deaf).run(job.id))
    await deaf.began.wait()
    async with app_database.transaction(me.tenant_id) as transaction:
        await steering.apply(transaction.driver, Action.CANCEL, [job.id])
    await asyncio.wait({running}, timeout=MOST_SECONDS)
    assert running.done()
    assert deaf.swallowed == 3
    assert (await row(worker.services.database, job.id))["state"] == "cancelled"
    assert [one["outcome"] for one in await attempts(worker, job.id)] == ["cancelled"]


async def test_a_stage_that_swallows_the_end_of_its_process_is_told_again(
    worker: TestWorker, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "CANCEL_AGAIN_SECONDS", 0.1)
    job = await submit(worker, me, b"text", format=Format.TEXT)
    deaf = Deaf(times=2)
    running = asyncio.create_task(worker.with_stages(deaf).run(job.id))
    await deaf.began.wait()
    worker.services.leases.end_all(Stop.SHUTDOWN)
    await asyncio.wait({running}, timeout=MOST_SECONDS)
    assert running.done()
    back = await row(worker.services.database, job.id)
    assert (back["state"], back["failures"], back["lease_owner"]) == ("queued", 0, None)
    assert [one["outcome"] for one in await attempts(worker, job.id)] == ["handed_back"]


@pytest.mark.parametrize("action", [Action.CANCEL, Action.PAUSE])
async def test_what_is_told_late_hands_the_job_back(
    action: Action, worker: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    """The message is of a wish that the row no longer knows: it went to an attempt before."""
    job = await submit(worker, me, b"text", format=Format.TEXT)
    slow = Slow()
    running = asyncio.create_task(worker.with_stages(slow).run(job.id))
    await slow.began.wait()

    async def obeyed() -> bool:
        assert await Bus(redis, keys).tell_workers(Control(action=action, job_id=job.id))
        return running.done()

    async with listening(worker, redis, keys):
        await until(obeyed, MOST_SECONDS)
    await running
    back = await row(worker.services.database, job.id)
    assert (back["state"], back["failures"], back["dispatch"], back["lease_owner"]) == ("queued", 0, 1, None)
    await worker.run(job.id, back["dispatch"])
    assert [one["outcome"] for one in await attempts(worker, job.id)] == ["handed_back", "completed"]


async def test_a_stage_that_cancels_itself_has_failed(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    async with asyncio.timeout(MOST_SECONDS):
        await worker.with_stages(GivesUp()).run(job.id)
    waiting = await row(worker.services.database, job.id)
    assert (waiting["state"], waiting["failures"]) == ("queued", 1)
    (kept,) = await attempts(worker, job.id)
    assert (kept["outcome"], kept["code"], kept["stage"]) == ("retried", "internal_error", "giving up")
    assert "RuntimeError: The stage cancelled itself." in kept["traceback"]
