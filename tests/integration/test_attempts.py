"""How attempts end: time limits, pauses, errors; and what is kept of each for operators."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.embedding import Vectors
from arqueduct.errors import DocumentCorrupt, ProviderLimited
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Action
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents, steering
from arqueduct.repositories.jobs import End
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct.together import Together
from tests.integration.test_ingest import Slow
from tests.integration.worker import TestWorker, row, submit, working

SENTENCES = "".join(f"Sentence number {number} is unlike all the others. " for number in range(400))


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


def limited(worker: TestWorker, soft: float, hard: float) -> Settings:
    return worker.services.settings.model_copy(update={"time_limits": {"document.ingest": (soft, hard)}})


async def attempts(database: Database, job_id: UUID) -> list[dict[str, Any]]:
    async with database.transaction() as transaction:
        rows = await transaction.driver.fetch("SELECT * FROM job_attempts WHERE job_id = $1 ORDER BY attempt", job_id)
    return [dict(found) for found in rows]


async def outcomes(worker: TestWorker, job_id: UUID) -> list[str]:
    return [attempt["outcome"] for attempt in await attempts(worker.services.database, job_id)]


class Batches(Stage):
    """Does what is left, one at a time, and its time is up after each second; what is done is kept outside."""

    name = "batches"
    label = "batching"
    weight = 1

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    async def run(self, context: StageContext) -> None:
        while self.done < self.total:
            context.checkpoint()
            self.done += 1
            context.progress(self.done, self.total, "batches")
            context.is_time_up = not self.done % 2


class Stuck(Stage):
    """Never hears that its time is up."""

    name = "stuck"
    label = "hanging"
    weight = 1

    async def run(self, context: StageContext) -> None:
        await asyncio.get_running_loop().create_future()


class Hears(Stage):
    """Gets nothing done until its time is up."""

    name = "hears"
    label = "listening"
    weight = 1

    async def run(self, context: StageContext) -> None:
        context.is_time_up = True
        context.checkpoint()


class Raises(Stage):
    """Each run raises the next of its errors; without one left it succeeds."""

    name = "raises"
    label = "raising"
    weight = 1

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def run(self, context: StageContext) -> None:
        if self._errors:
            raise self._errors.pop(0)


class OneBatch(HashingEmbedder):
    """In the attempt that it is told of first, the time is up after one batch."""

    def __init__(self) -> None:
        super().__init__(batch=5)
        self.bought: list[str] = []
        self.context: StageContext | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.bought += texts
        if self.context is not None:
            self.context.is_time_up = len(self.bought) == self.batch
        return await super().embed(texts)

    def before(self) -> Stage:
        """A stage that tells it of the attempt."""
        embedder = self

        class Tells(Stage):
            name = "tells"
            label = "telling"

            async def run(self, context: StageContext) -> None:
                embedder.context = context

        return Tells()


async def test_a_job_whose_time_is_up_goes_on_where_it_was(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    stage = Batches(5)
    running = worker.with_stages(stage)
    await running.run(job.id)
    snoozed = await row(worker.services.database, job.id)
    assert (snoozed["state"], snoozed["failures"], snoozed["dispatch"], stage.done) == ("queued", 0, 1, 2)
    for dispatch in (1, 2):
        await running.run(job.id, dispatch)
    assert (await row(worker.services.database, job.id))["state"] == "completed"
    assert (await outcomes(worker, job.id)) == ["snoozed", "snoozed", "completed"]


async def test_a_job_that_gets_no_further_fails_with_timeout(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.with_stages(Hears()).run(job.id)
    failed = await row(worker.services.database, job.id)
    assert (failed["state"], failed["error"]["code"], failed["error"]["stage"]) == ("failed", "timeout", "listening")


async def test_a_job_that_hears_nothing_is_ended(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    async with asyncio.timeout(10):
        await worker.with_settings(limited(worker, 0.5, 1.0)).with_stages(Stuck()).run(job.id)
    failed = await row(worker.services.database, job.id)
    assert (failed["state"], failed["error"]["code"], failed["error"]["stage"]) == ("failed", "timeout", "hanging")


async def test_the_limit_of_another_kind_is_not_its_own(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    other = worker.services.settings.model_copy(update={"time_limits": {"report.write": (0.0, 0.0)}})
    await worker.with_settings(other).run(job.id)
    assert (await row(worker.services.database, job.id))["state"] == "completed"


async def test_embedding_stops_between_batches_and_buys_nothing_twice(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, SENTENCES.encode(), format=Format.TEXT)
    embedder = OneBatch()
    one_by_one = worker.services.settings.model_copy(update={"embedding_requests": 1})
    services = replace(worker.services, embedder=embedder, settings=one_by_one)
    stages = list(services.registry.stages("document.ingest", without=frozenset({"redact"})))
    running = replace(worker, services=services).with_stages(*stages[:3], embedder.before(), *stages[3:])
    with capture_logs() as lines:
        await running.run(job.id)
    finished = [line["stage"] for line in lines if line["event"] == "stage finished"]
    assert finished == ["download", "extract", "chunk", "tells"], "it stopped early in the next"
    assert (await outcomes(worker, job.id)) == ["snoozed"]
    assert len(embedder.bought) == embedder.batch
    await running.run(job.id, 1)
    assert (await outcomes(worker, job.id)) == ["snoozed", "completed"]
    assert len(embedder.bought) == len(set(embedder.bought)) > embedder.batch


async def test_a_deletion_is_no_lost_lease(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    assert job.document_id is not None
    stage = Slow()
    lost = metrics.lease_losses._value.get()
    running = asyncio.create_task(worker.with_stages(stage).run(job.id))
    await stage.began.wait()
    async with app_database.transaction(me.tenant_id) as transaction:
        assert await documents.mark_deleted(transaction, job.document_id)
        await steering.cancel_of_document(transaction.driver, job.document_id)
    with capture_logs() as lines:
        await running  # the heartbeat tells it
    assert [line["end"] for line in lines if line["event"] == "attempt ended"] == ["deleted"]
    assert metrics.lease_losses._value.get() == lost


async def test_a_paused_job_keeps_what_is_done(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    stage = Slow()
    running = asyncio.create_task(worker.with_stages(stage).run(job.id))
    await stage.began.wait()

    async with app_database.transaction(me.tenant_id) as transaction:
        assert (await steering.apply(transaction.driver, Action.PAUSE, [job.id])).asked == [job.id]
    await running
    paused = await row(worker.services.database, job.id)
    assert (paused["state"], paused["failures"], paused["lease_owner"]) == ("paused", 0, None)
    await worker.run(job.id, paused["dispatch"])  # a wake-up does not wake it
    assert (await row(worker.services.database, job.id))["fence"] == 1

    async with app_database.transaction(me.tenant_id) as transaction:
        (resumed,) = (await steering.apply(transaction.driver, Action.RESUME, [job.id])).rows
    await worker.run(job.id, resumed["dispatch"])
    assert (await outcomes(worker, job.id)) == ["paused", "completed"]


async def test_a_cancel_counts_more_than_a_pause(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    stage = Slow()
    running = asyncio.create_task(worker.with_stages(stage).run(job.id))
    await stage.began.wait()
    async with app_database.transaction(me.tenant_id) as transaction:
        await steering.apply(transaction.driver, Action.PAUSE, [job.id])
        await steering.apply(transaction.driver, Action.CANCEL, [job.id])
    await running
    assert (await row(worker.services.database, job.id))["state"] == "cancelled"
    assert (await outcomes(worker, job.id)) == ["cancelled"]


async def test_each_attempt_keeps_its_error(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    raising = worker.with_stages(Raises(RuntimeError("a bug"), ProviderLimited("slow down"), DocumentCorrupt()))
    for dispatch in range(3):
        await raising.run(job.id, dispatch)
    kept = await attempts(worker.services.database, job.id)
    assert [(attempt["outcome"], attempt["code"], attempt["stage"]) for attempt in kept] == [
        ("retried", "internal_error", "raising"),
        ("retried", "provider_limited", "raising"),
        ("failed", "document_corrupt", "raising"),
    ]
    assert "RuntimeError: a bug" in kept[0]["traceback"]
    assert {attempt["worker"] for attempt in kept} == {worker.services.name}
    assert all(attempt["ended_at"] >= attempt["started_at"] for attempt in kept)


@pytest.mark.parametrize(("asked", "least", "most"), [(20, 20, 22), (100_000, 3600, 3602)])
async def test_the_provider_says_how_long_to_wait(
    worker: TestWorker, me: NewIdentity, asked: int, least: int, most: int
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.with_stages(Raises(ProviderLimited(retry_after=timedelta(seconds=asked)))).run(job.id)
    found = await row(worker.services.database, job.id)
    waits = (found["run_after"] - found["updated_at"]).total_seconds()
    assert least <= waits <= most
    assert (found["state"], found["turn"]) == ("queued", None)


class Costly(Stage):
    """Buys something, or only makes something; both are told by the job."""

    name = "buy"
    label = "buying"
    weight = 1

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    async def run(self, context: StageContext) -> None:
        context.usage.tokens += self._tokens
        context.facts["pages"] = 3


async def test_what_was_spent_is_counted_once_where_a_cancel_comes_before_the_end(
    worker: TestWorker, me: NewIdentity
) -> None:
    async def cancel_first(ends: Sequence[End]) -> Sequence[asyncpg.Record | None]:
        async with worker.services.database.autocommit() as driver:
            await driver.execute("UPDATE jobs SET cancel_requested = true WHERE id = $1", ends[0].job_id)
        return [await worker.services.completions.ask(end) for end in ends]

    job = await submit(worker, me, b"text", format=Format.TEXT)
    late = replace(worker, services=replace(worker.services, completions=Together(cancel_first)))
    await late.with_stages(Costly(11)).run(job.id)
    found = await row(worker.services.database, job.id)
    assert (found["state"], found["tokens"]) == ("cancelled", 11)


async def test_what_a_job_made_is_told_also_where_nothing_was_bought(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.with_stages(Costly(0)).run(job.id)
    found = await row(worker.services.database, job.id)
    assert (found["state"], found["tokens"], found["pages"]) == ("completed", 0, 3)
