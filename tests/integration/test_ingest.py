"""One attempt after the other through the real stages."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable, EmbeddingRejected
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Action
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents, jobs, steering, sweeps
from arqueduct.settings import Settings
from tests.integration.worker import TestWorker, row, submit, until, working

STAGES = ["downloading", "extracting", "chunking", "embedding", "storing"]


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


def pdf(pages: int) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for number in range(1, pages + 1):
        canvas.drawString(72, 720, f"Page {number} tells of aqueduct number {number} and its water.")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


async def fetch(database: Database, me: NewIdentity, query: str, *values: Any) -> list[Any]:
    async with database.transaction(me.tenant_id) as transaction:
        return await transaction.driver.fetch(query, *values)


async def test_a_pdf_becomes_chunks_with_pages_and_vectors(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, pdf(3), format=Format.PDF)
    await worker.run(job.id)
    assert (await row(worker.services.database, job.id))["state"] == "completed"
    chunks = await fetch(app_database, me, "SELECT * FROM chunks ORDER BY ordinal")
    assert [chunk["ordinal"] for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0]["first_page"] == 1
    assert chunks[-1]["last_page"] == 3
    assert await fetch(app_database, me, "SELECT FROM embeddings") != []
    (document,) = await fetch(app_database, me, "SELECT * FROM documents")
    assert (document["pages"], document["chunks"]) == (3, len(chunks))


async def test_progress_passes_every_stage_and_never_goes_back(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, pdf(5), format=Format.PDF)
    await worker.run(job.id)
    await until(lambda: _heard_end(worker))
    stages = list(dict.fromkeys(message.stage for message in worker.heard))
    assert stages == [*STAGES, "completed"]
    progress = [message.progress for message in worker.heard]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    seqs = [message.seq for message in worker.heard]
    assert seqs == sorted(set(seqs))


async def test_history_keeps_each_stage(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await submit(worker, me, b"A short text about water.", format=Format.TEXT)
    await worker.run(job.id)
    told = await fetch(app_database, me, "SELECT stage, seq FROM job_events WHERE job_id = $1 ORDER BY seq", job.id)
    assert [line["stage"] for line in told] == ["queued", *STAGES, "completed"]
    assert told[-1]["seq"] == (await row(worker.services.database, job.id))["seq"]


async def test_a_broken_file_fails_with_a_code_and_leaves_nothing(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, b"%PDF-1.7 this is not a PDF at all", format=Format.PDF)
    await worker.run(job.id)
    ended = await row(worker.services.database, job.id)
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "document_corrupt"
    assert ended["error"]["stage"] == "extracting"
    assert ended["error"]["advice"]
    assert await fetch(app_database, me, "SELECT FROM chunks") == []
    assert await fetch(app_database, me, "SELECT FROM embeddings") == []


async def test_a_stale_wake_up_does_nothing(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.run(job.id, dispatch=7)
    assert (await row(worker.services.database, job.id))["state"] == "queued"
    await worker.run(job.id)
    await worker.run(job.id)
    assert (await row(worker.services.database, job.id))["fence"] == 1


class Flaky(Stage):
    """Fails as often as it is told."""

    name = "flaky"
    label = "trying"

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def run(self, context: StageContext) -> None:
        if self.failures:
            self.failures -= 1
            raise DependencyUnavailable("The provider is away.")


class Slow(Stage):
    """Runs until it is stopped."""

    name = "slow"
    label = "waiting"

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def run(self, context: StageContext) -> None:
        self.began.set()
        await asyncio.Event().wait()


async def test_a_transient_error_goes_back_into_the_queue(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.with_stages(Flaky(1)).run(job.id)
    waiting = await row(worker.services.database, job.id)
    assert (waiting["state"], waiting["failures"], waiting["dispatch"]) == ("queued", 1, 1)
    assert waiting["error"]["retryable"] is True
    await worker.with_stages(Flaky(0)).run(job.id, dispatch=1)
    assert (await row(worker.services.database, job.id))["state"] == "completed"


async def test_failures_used_up_end_the_job(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    failing = worker.with_stages(Flaky(99))
    for dispatch in range(5):
        await failing.run(job.id, dispatch=dispatch)
    ended = await row(worker.services.database, job.id)
    assert (ended["state"], ended["failures"]) == ("failed", 5)


async def test_a_retry_buys_no_vector_twice(worker: TestWorker, me: NewIdentity) -> None:
    class FailsOnce(Flaky):
        name = "store"

    first = await submit(worker, me, pdf(4), format=Format.PDF)
    stages = list(worker.services.registry.stages("document.ingest", without=frozenset({"redact"})))
    await worker.with_stages(*stages[:4], FailsOnce(1)).run(first.id)
    bought = worker.embedder.texts
    assert bought > 0
    await worker.run(first.id, dispatch=1)
    assert (await row(worker.services.database, first.id))["state"] == "completed"
    assert worker.embedder.texts == bought


async def test_cancelling_a_running_job_stops_it(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    slow = Slow()
    running = asyncio.create_task(worker.with_stages(slow).run(job.id))
    await slow.began.wait()
    async with app_database.transaction(me.tenant_id) as transaction:
        assert (await steering.apply(transaction.driver, Action.CANCEL, [job.id])).asked == [job.id]
    await running
    assert (await row(worker.services.database, job.id))["state"] == "cancelled"
    assert list(worker.services.folder.iterdir()) == []


async def test_a_stopping_worker_hands_its_job_back(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    slow = Slow()
    running = asyncio.create_task(worker.with_stages(slow).run(job.id))
    await slow.began.wait()
    running.cancel()
    await asyncio.wait({running})
    back = await row(worker.services.database, job.id)
    assert (back["state"], back["failures"], back["dispatch"]) == ("queued", 0, 1)


async def test_an_attempt_that_lost_its_lease_writes_nothing(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    slow = Slow()
    running = asyncio.create_task(worker.with_stages(slow).run(job.id))
    await slow.began.wait()
    async with worker.services.database.transaction() as transaction:
        await transaction.driver.execute("UPDATE jobs SET fence = fence + 1 WHERE id = $1", job.id)
    await running
    assert (await row(worker.services.database, job.id))["state"] == "running"


async def test_deleting_a_running_document_leaves_nothing_behind(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, pdf(2), format=Format.PDF)
    slow = Slow()
    stages = list(worker.services.registry.stages("document.ingest", without=frozenset({"redact"})))
    running = asyncio.create_task(worker.with_stages(*stages[:4], slow).run(job.id))
    await slow.began.wait()
    assert job.document_id is not None
    async with app_database.transaction(me.tenant_id) as transaction:
        assert await documents.mark_deleted(transaction, job.document_id)
        await steering.cancel_of_document(transaction.driver, job.document_id)
    async with app_database.transaction(me.tenant_id) as transaction:
        prefix = await documents.purge(transaction, job.document_id)
    assert prefix is not None
    assert await worker.services.storage.delete_prefix(prefix) >= 2
    await running
    assert (await row(worker.services.database, job.id))["state"] == "cancelled"
    for table in ("documents", "chunks", "embeddings", "blobs"):
        assert await fetch(app_database, me, f"SELECT FROM {table}") == []


async def test_two_documents_of_the_same_text_share_their_vectors(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    first = await submit(worker, me, pdf(2), format=Format.PDF, name="one.pdf")
    second = await submit(worker, me, pdf(2) + b"\n% other bytes", format=Format.PDF, name="two.pdf")
    await worker.run(first.id)
    bought = worker.embedder.texts
    await worker.run(second.id)
    assert worker.embedder.texts == bought
    assert second.document_id is not None
    async with app_database.transaction(me.tenant_id) as transaction:
        await documents.mark_deleted(transaction, second.document_id)
        await documents.purge(transaction, second.document_id)
    (left,) = await fetch(
        app_database,
        me,
        "SELECT count(*) AS chunks, count(e.vector) AS vectors FROM chunks c "
        "LEFT JOIN embeddings e USING (tenant_id, text_hash)",
    )
    assert left["chunks"] == left["vectors"] > 0


async def _heard_end(worker: TestWorker) -> bool:
    return bool(worker.heard) and worker.heard[-1].type == "job_completed"


class Talks(Stage):
    """Says what Postgres refuses, and fails with it."""

    name = "talk"
    label = "talking"

    async def run(self, context: StageContext) -> None:
        context.progress(1, 2, "words", "a\0b")
        raise EmbeddingRejected("The provider said \0 and nothing else.")


async def test_what_postgres_refuses_does_not_keep_a_job_from_its_end(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.with_stages(Talks()).run(job.id)
    ended = await row(worker.services.database, job.id)
    assert (ended["state"], ended["error"]["message"]) == ("failed", "The provider said  and nothing else.")


class Completes(Stage):
    """Stands still inside the transaction that ends the job, its document locked as store does it."""

    name = "complete"
    label = "completing"

    def __init__(self) -> None:
        self.inside, self.go_on = asyncio.Event(), asyncio.Event()

    async def run(self, context: StageContext) -> None:
        async with context.completion() as transaction:
            await transaction.driver.execute(
                "UPDATE documents SET pages = 1 WHERE id = $1", context.subject.document_id
            )
            self.inside.set()
            await self.go_on.wait()
            context.progress(1, 1, "chunks")


async def test_a_deletion_waits_for_a_completion_and_neither_for_ever(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    completes = Completes()
    running = asyncio.create_task(worker.with_stages(completes).run(job.id))
    await completes.inside.wait()
    assert job.document_id is not None

    async def delete() -> None:
        async with app_database.transaction(me.tenant_id) as transaction:
            assert await documents.mark_deleted(transaction, job.document_id)
            await steering.cancel_of_document(transaction.driver, job.document_id)

    deleting = asyncio.create_task(delete())
    await until(lambda: _waits_for_a_lock(worker))
    completes.go_on.set()
    async with asyncio.timeout(5):
        await asyncio.gather(running, deleting)
    assert (await row(worker.services.database, job.id))["state"] == "completed"


async def test_as_many_jobs_can_store_at_once_as_there_are_connections_for(worker: TestWorker, me: NewIdentity) -> None:
    settings = worker.services.settings
    count = min(settings.database_pool_size, settings.worker_concurrency)
    ids = [(await submit(worker, me, f"text {n}".encode(), format=Format.TEXT)).id for n in range(count)]
    storing = [Completes() for _ in ids]
    running = [
        asyncio.create_task(worker.with_stages(stage).run(job_id)) for stage, job_id in zip(storing, ids, strict=True)
    ]
    async with asyncio.timeout(10):
        for stage in storing:
            await stage.inside.wait()
        await worker.services.leases.beat()
        assert worker.services.leases.silent_for < 1
        for stage in storing:
            stage.go_on.set()
        await asyncio.gather(*running)
    assert {(await row(worker.services.database, job_id))["state"] for job_id in ids} == {"completed"}


async def test_an_attempt_that_lost_its_job_to_its_own_process_stops(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    frozen = Slow()
    first = asyncio.create_task(worker.with_stages(frozen).run(job.id))
    await frozen.began.wait()
    async with worker.services.database.transaction() as transaction:
        await transaction.driver.execute(
            "UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", job.id
        )
        await sweeps.lapsed(transaction.driver, max_crashes=3)
        lease_time = worker.services.settings.lease_time
        (claimed,) = await jobs.claim(transaction.driver, [(job.id, 1)], "me again", lease_time)
    with worker.services.leases.hold(job.id, claimed.fence, confirmed_at=claimed.asked_at) as lease:
        async with asyncio.timeout(5):
            await first
        assert lease.stop is None
    assert (await row(worker.services.database, job.id))["fence"] == 2


async def _waits_for_a_lock(worker: TestWorker) -> bool:
    async with worker.services.database.transaction() as transaction:
        return bool(
            await transaction.driver.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple'))"
            )
        )
