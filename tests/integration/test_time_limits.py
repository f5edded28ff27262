"""How long a job may run, and when it is tried again: soft and hard limit, snooze, failure, backoff."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psutil
import pytest

from arqueduct import retry
from arqueduct.errors import EmbeddingRejected, ProviderLimited
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Outcome
from arqueduct.pipeline import Stage, StageContext
from arqueduct.settings import Settings
from tests.integration.launcher import Launcher, Program, launching, loading
from tests.integration.test_ingest import Flaky
from tests.integration.test_steering_worker import FREE_SECONDS, SLOW
from tests.integration.trial import BATCH, trying
from tests.integration.worker import TestWorker, row, submit, until, working


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@asynccontextmanager
async def limited(settings: Settings, me: NewIdentity, **changes: Any) -> AsyncIterator[TestWorker]:
    async with working(settings.model_copy(update={"lease": 30.0} | changes), me) as running:
        yield running


class Counts(Stage):
    """Counts to ten, a number a batch; at seven its time is up. The numbers outlive an attempt.

    Seven tenths are no round number in binary, and Postgres keeps fewer digits of them than Python.
    """

    name = "count"
    label = "counting"
    weight = 1.0

    def __init__(self, *, advances: bool = True) -> None:
        self.counted: list[int] = []
        self._advances = advances

    async def run(self, context: StageContext) -> None:
        for number in range(len(self.counted), 10):
            self.counted.append(number)
            if self._advances:
                context.progress(number + 1, 10, "numbers")
            if len(self.counted) == 7:
                await time_is_up(context)
            context.checkpoint()


class Stubborn(Stage):
    """Is told, and goes on all the same."""

    name = "ignore"
    label = "ignoring"

    async def run(self, context: StageContext) -> None:
        await asyncio.Event().wait()


class Raises(Stage):
    """Fails with what it is given."""

    name = "raise"
    label = "raising"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def run(self, context: StageContext) -> None:
        raise self.error


async def time_is_up(context: StageContext) -> None:
    async def told() -> bool:
        return context.is_time_up

    await until(told)


async def attempts(worker: TestWorker, job_id: UUID) -> list[Any]:
    async with worker.services.database.transaction() as transaction:
        return list(
            await transaction.driver.fetch("SELECT * FROM job_attempts WHERE job_id = $1 ORDER BY attempt", job_id)
        )


async def test_a_job_that_got_further_is_snoozed_and_goes_on(settings: Settings, me: NewIdentity) -> None:
    async with limited(settings, me, soft_limit=1.0) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        counts = Counts()
        await worker.with_stages(counts).run(job.id)
        snoozed = await row(worker.services.database, job.id)
        assert (snoozed["state"], snoozed["failures"], snoozed["error"]) == ("queued", 0, None)
        assert counts.counted == list(range(7))
        await worker.with_stages(counts).run(job.id, dispatch=1)
        assert (await row(worker.services.database, job.id))["state"] == "completed"
        assert counts.counted == list(range(10))
        first, second = await attempts(worker, job.id)
        assert (first["outcome"], second["outcome"]) == (Outcome.SNOOZED, Outcome.COMPLETED)
        assert first["stage"] == "counting"


async def test_a_job_that_got_no_further_fails_with_its_time(settings: Settings, me: NewIdentity) -> None:
    async with limited(settings, me, soft_limit=1.0) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.with_stages(Counts(advances=False)).run(job.id)
        failed = await row(worker.services.database, job.id)
        assert (failed["state"], failed["error"]["code"], failed["error"]["stage"]) == ("failed", "timeout", "counting")
        (attempt,) = await attempts(worker, job.id)
        assert (attempt["outcome"], attempt["code"]) == (Outcome.FAILED, "timeout")


async def test_progress_of_an_earlier_attempt_does_not_count_again(settings: Settings, me: NewIdentity) -> None:
    async with limited(settings, me, soft_limit=1.0) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.with_stages(Counts()).run(job.id)
        await worker.with_stages(Counts()).run(job.id, dispatch=1)  # forgot what it had counted
        failed = await row(worker.services.database, job.id)
        assert (failed["state"], failed["error"]["code"]) == ("failed", "timeout")
        assert [attempt["outcome"] for attempt in await attempts(worker, job.id)] == [Outcome.SNOOZED, Outcome.FAILED]


async def test_the_limits_are_those_of_the_kind(settings: Settings, me: NewIdentity) -> None:
    limits = {"document.ingest": (1.0, 1.0), "something.else": (900.0, 900.0)}
    async with limited(settings, me, time_limits=limits) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        async with asyncio.timeout(20):
            await worker.with_stages(Stubborn()).run(job.id)
        failed = await row(worker.services.database, job.id)
        assert (failed["state"], failed["error"]["code"], failed["error"]["stage"]) == ("failed", "timeout", "ignoring")
        assert failed["error"]["advice"]
        assert list(worker.services.folder.iterdir()) == []
    async with limited(settings, me, time_limits={"something.else": (0.001, 0.001)}) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.run(job.id)
        assert (await row(worker.services.database, job.id))["state"] == "completed"


async def test_the_hard_limit_kills_the_parser(settings: Settings, me: NewIdentity, launcher: Launcher) -> None:
    async with trying(settings, me, lease=30.0, soft_limit=4.0, hard_limit=4.0) as trial:
        worker = await launcher.start(trial.settings)
        job = await trial.deliver(SLOW)
        await trial.reaches(job, stage="chunking")
        (parser,) = psutil.Process(worker.pid).children()
        failed = await trial.reaches(job, state="failed")
        assert not parser.is_running()
        (attempt,) = await trial.attempts(job)
        assert 4 <= seconds_between(attempt["started_at"], failed["finished_at"]) < 4 + FREE_SECONDS
        assert (attempt["outcome"], attempt["code"], attempt["stage"]) == (Outcome.FAILED, "timeout", "chunking")
        assert worker.is_running
        assert await trial.broken_rules() == []


async def test_embed_stops_between_two_batches_and_buys_nothing_twice(
    settings: Settings, me: NewIdentity, launcher: Launcher
) -> None:
    async with trying(settings, me, lease=30.0, soft_limit=1.5, hard_limit=60.0) as trial:
        trial.provider.latency = 0.8
        await launcher.start(trial.settings)
        job = await trial.deliver()
        await trial.reaches(job, state="completed")
        outcomes = await trial.outcomes(job)
        assert outcomes[-1] == Outcome.COMPLETED
        assert set(outcomes[:-1]) == {Outcome.SNOOZED}
        assert trial.sold_again == 0
        assert await trial.extractions() == 1
        assert len(trial.provider.requests) >= 4
        assert (await trial.row(job))["failures"] == 0
        assert await trial.broken_rules() == []


async def test_an_attempt_is_remembered_with_its_error(settings: Settings, me: NewIdentity) -> None:
    async with limited(settings, me) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.with_stages(Flaky(1)).run(job.id)
        await worker.with_stages(Flaky(0)).run(job.id, dispatch=1)
        failed, completed = await attempts(worker, job.id)
        assert (failed["outcome"], failed["stage"], failed["code"]) == ("retried", "trying", "dependency_unavailable")
        assert failed["message"] == "The provider is away."
        assert "test_ingest.py" in failed["traceback"]
        assert failed["traceback"].rstrip().endswith("The provider is away.")
        assert (completed["outcome"], completed["code"], completed["traceback"]) == ("completed", None, None)
        assert completed["started_at"] >= failed["ended_at"]
        assert {failed["worker"], completed["worker"]} == {worker.services.name}


@pytest.mark.parametrize(
    ("error", "code"),
    [(EmbeddingRejected("No such model."), "embedding_rejected"), (KeyError("a bug"), "internal_error")],
    ids=["permanent", "unforeseen"],
)
async def test_a_permanent_error_is_final_and_an_unforeseen_one_is_not(
    error: Exception, code: str, settings: Settings, me: NewIdentity
) -> None:
    async with limited(settings, me) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.with_stages(Raises(error)).run(job.id)
        ended = await row(worker.services.database, job.id)
        assert (ended["state"], ended["failures"], ended["error"]["code"]) == (
            "failed" if code == "embedding_rejected" else "queued",
            1,
            code,
        )
        (attempt,) = await attempts(worker, job.id)
        assert (attempt["code"], attempt["stage"]) == (code, "raising")
        assert type(error).__name__ in attempt["traceback"]


@pytest.mark.parametrize("asked", [40.0, 10 * retry.LONGEST_ASKED], ids=["honoured", "capped"])
async def test_a_provider_that_asks_to_wait_is_obeyed_within_reason(
    asked: float, settings: Settings, me: NewIdentity
) -> None:
    async with limited(settings, me) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        limit = ProviderLimited("Slow down.", retry_after=timedelta(seconds=asked))
        await worker.with_stages(Raises(limit)).run(job.id)
        waiting = await row(worker.services.database, job.id)
        (attempt,) = await attempts(worker, job.id)
        assert (attempt["outcome"], attempt["code"]) == ("retried", "provider_limited")
        delay = seconds_between(attempt["ended_at"], waiting["run_after"])
        least = min(asked, retry.LONGEST_ASKED)
        assert least - 1 <= delay <= least + retry.FIRST
        assert "will be tried again in" in waiting["message"]


async def test_what_the_provider_says_over_http_decides_when_a_job_goes_on(
    settings: Settings, me: NewIdentity, launcher: Launcher
) -> None:
    async with trying(settings, me, lease=30.0) as trial:
        trial.provider.answer_next(429, retry_after="3")
        await launcher.start(trial.settings)
        job = await trial.deliver()
        await trial.reaches(job, state="completed")
        limited, completed = await trial.attempts(job)
        assert (limited["outcome"], limited["code"], limited["stage"]) == ("retried", "provider_limited", "embedding")
        assert seconds_between(limited["ended_at"], completed["started_at"]) >= 3 - 0.1
        assert trial.sold_again == BATCH  # the texts that were refused
        assert await trial.extractions() == 1


def seconds_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
