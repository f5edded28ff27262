"""What was left behind is found: jobs by the sweeper, leases by the heartbeat."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from arq.connections import ArqRedis

from arqueduct.database import Database
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.models import Blob
from arqueduct.queue import wake_up_id
from arqueduct.repositories import documents, jobs, sweeps
from arqueduct.settings import Settings
from arqueduct_worker.sweeper import Sweeper
from tests.integration.family import some_documents
from tests.integration.many_jobs import is_waited_for, owning
from tests.integration.worker import TestWorker, row, submit, until, working


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings.model_copy(update={"redispatch": 0.0, "sweep": 0.01, "lease": 1.0}), me) as running:
        yield running


async def test_a_job_that_redis_forgot_is_sent_under_a_new_name(
    worker: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.services.admitter.admit()
    await redis.delete(keys.queue)

    async def sent_again() -> bool:
        await Sweeper(worker.services).sweep()
        await worker.services.admitter.admit()
        return await redis.zscore(keys.queue, wake_up_id(job.id, 1)) is not None

    await until(sent_again)
    assert await redis.zscore(keys.queue, wake_up_id(job.id, 0)) is None


async def test_a_job_that_waits_its_turn_is_left_alone(
    worker: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.services.admitter.admit()
    await Sweeper(worker.services).sweep()
    assert (await row(worker.services.database, job.id))["dispatch"] == 0
    assert await redis.zscore(keys.queue, wake_up_id(job.id, 0)) is not None


async def test_a_dead_workers_job_goes_back_into_the_queue_and_is_told(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    async with worker.services.database.transaction() as transaction:
        await jobs.claim(transaction.driver, [(job.id, 0)], "a dead worker", timedelta(seconds=-1))

    async def recovered() -> bool:
        await Sweeper(worker.services).sweep()
        return (await row(worker.services.database, job.id))["state"] == "queued"

    await until(recovered)
    await until(lambda: _heard(worker, "job_queued"))
    await worker.run(job.id, dispatch=1)
    assert (await row(worker.services.database, job.id))["state"] == "completed"


async def test_one_worker_sweeps_at_a_time(worker: TestWorker, me: NewIdentity) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    async with worker.services.database.transaction() as transaction:
        await jobs.claim(transaction.driver, [(job.id, 0)], "a dead worker", timedelta(seconds=-1))
    async with worker.services.database.transaction() as transaction:
        await transaction.driver.execute("SELECT pg_advisory_xact_lock($1)", sweeps.LOCK)
        await Sweeper(worker.services).sweep()
        assert (await row(worker.services.database, job.id))["state"] == "running"


async def test_what_a_deletion_could_not_finish_is_finished(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.run(job.id)
    assert job.document_id is not None
    async with app_database.transaction(me.tenant_id) as transaction:
        assert await documents.mark_deleted(transaction, job.document_id)

    async def gone() -> bool:
        await Sweeper(worker.services).sweep()
        async with app_database.transaction(me.tenant_id) as transaction:
            counts = await transaction.driver.fetchrow(
                "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM chunks), "
                "(SELECT count(*) FROM embeddings), (SELECT count(*) FROM blobs), (SELECT count(*) FROM deletions)"
            )
        return counts is not None and not any(counts.values())

    await until(gone)
    assert not list(worker.services.settings.data_dir.rglob("original*"))


async def test_counting_the_queue_does_not_silence_a_worker(worker: TestWorker, settings: Settings) -> None:
    services = worker.services
    sweeper = Sweeper(services)

    async def said() -> object:
        async with services.database.transaction() as transaction:
            return await transaction.driver.fetchval("SELECT beat_at FROM workers WHERE id = $1", services.name)

    async with owning(settings) as owner, owner.transaction():
        await owner.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        tasks = [asyncio.create_task(task) for task in (sweeper.watch(), sweeper.beat())]

        async def counts() -> bool:
            found = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'jobs'::regclass AND NOT granted)"
            return bool(await owner.fetchval(found))

        async def goes_on(since: object) -> bool:
            return await said() not in (None, since)

        try:
            await until(counts)
            for _ in range(3):
                last = await said()
                await until(lambda last=last: goes_on(last))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_a_heartbeat_keeps_a_long_job(settings: Settings, me: NewIdentity) -> None:
    from tests.integration.test_ingest import Slow

    # Not the fixture's lease of 0.3 s: on a busy machine a heartbeat may take as long, and would rightly give up.
    async with working(settings, me) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        slow = Slow()
        running = asyncio.create_task(worker.with_stages(slow).run(job.id))
        await slow.began.wait()
        before = (await row(worker.services.database, job.id))["lease_until"]

        async def renewed() -> bool:
            return bool((await row(worker.services.database, job.id))["lease_until"] > before)

        await until(renewed)
        running.cancel()
        await asyncio.wait({running})


async def _heard(worker: TestWorker, kind: str) -> bool:
    return any(message.type == kind for message in worker.heard)


@pytest.mark.parametrize("has_lost_its_original", [True, False], ids=["another document is there", "it was the last"])
async def test_a_purge_that_waits_for_an_upload_of_the_same_bytes_leaves_them(
    settings: Settings, app_database: Database, worker_database: Database, me: NewIdentity, has_lost_its_original: bool
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        gone, *_ = await some_documents(transaction.driver, me, 1 + has_lost_its_original)
        await documents.mark_deleted(transaction, gone)
    async with owning(settings) as owner:
        await owner.execute("UPDATE documents SET original_removed_at = now() WHERE deleted_at IS NULL")
        blob = await owner.fetchrow("SELECT id, sha256 FROM blobs")
    assert blob is not None

    async def purge() -> str | None:
        async with worker_database.transaction(me.tenant_id) as transaction:
            return await documents.purge(transaction, gone)

    async with app_database.transaction(me.tenant_id) as uploading:
        again = Blob(id=new_id(), tenant_id=me.tenant_id, sha256=blob["sha256"], size=1000)
        await documents.add_blobs(uploading, [again])
        purging = asyncio.create_task(purge())
        await until(lambda: is_waited_for(settings, 1))
        await uploading.driver.execute(
            "INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language) "
            "VALUES ($1, $2, $3, $4, 'again', 'text/plain', 1000, 'x', 'english')",
            *(new_id(), me.tenant_id, me.user_id, blob["id"]),
        )
    assert await purging is None
    async with owning(settings) as owner:
        assert await owner.fetchval("SELECT place FROM blobs") == "hot"
