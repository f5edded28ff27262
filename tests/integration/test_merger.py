"""New vectors are found at once, and get into the index when nobody needs the machine."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest

from arqueduct import metrics, search
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Job
from arqueduct.repositories import documents, vectors
from arqueduct.search import Mode
from arqueduct.settings import Settings
from arqueduct_worker import merger
from arqueduct_worker.merger import Merger
from tests.integration.many_jobs import insert_many, is_waited_for, owning
from tests.integration.trial import TEXT
from tests.integration.worker import TestWorker, submit, until, working

ENOUGH = 1000
"""More vectors than any test here makes."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merger, "LOOK_SECONDS", 0)
    monkeypatch.setattr(merger, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(merger, "BATCH", 4)


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings.model_copy(update={"chunk_chars": 300, "chunk_overlap": 30}), me) as running:
        yield running


async def stored(worker: TestWorker, me: NewIdentity, content: bytes = TEXT) -> Job:
    """A document that is ready."""
    job = await submit(worker, me, content, format=Format.TEXT)
    await worker.run(job.id)
    return job


async def head(settings: Settings) -> int:
    """Vectors outside of the index, of all tenants."""
    async with owning(settings) as owner:
        return int(await owner.fetchval("SELECT count(*) FROM embeddings WHERE NOT indexed"))


async def everything(settings: Settings) -> int:
    async with owning(settings) as owner:
        return int(await owner.fetchval("SELECT count(*) FROM embeddings"))


async def found(worker: TestWorker, database: Database, me: NewIdentity) -> set[UUID]:
    """All passages that a search by meaning gives."""
    vector = await worker.embedder.embed_query("sentence")
    async with database.transaction(me.tenant_id) as transaction:
        hits = await search.search(
            transaction,
            query="",
            vector=vector,
            model_id=worker.services.model_id,
            dimensions=worker.embedder.model.dimensions,
            mode=Mode.VECTOR,
            limit=ENOUGH,
            language="english",
        )
    return {hit.chunk_id for hit in hits}


async def test_new_vectors_are_found_before_they_are_in_the_index_and_after(
    worker: TestWorker, me: NewIdentity, app_database: Database, settings: Settings
) -> None:
    await stored(worker, me)
    new = await head(settings)
    assert new == await everything(settings) > merger.BATCH
    before = await found(worker, app_database, me)
    assert len(before) == new
    assert await Merger(worker.services).merge() == new
    assert await head(settings) == 0
    assert await found(worker, app_database, me) == before


async def test_the_vectors_of_all_tenants_are_merged(
    worker: TestWorker, me: NewIdentity, settings: Settings, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> None:
    await stored(worker, me)
    await stored(worker, await new_identity())
    new = await head(settings)
    assert sum(await asyncio.gather(*(Merger(worker.services).merge() for _ in range(3)))) == new
    assert await head(settings) == 0


async def test_the_size_of_the_head_is_told(worker: TestWorker, me: NewIdentity, settings: Settings) -> None:
    await stored(worker, me)
    new = await head(settings)
    moved = metrics.vectors_merged._value.get()
    with worker.services.leases.hold(new_id(), 1, confirmed_at=time.monotonic()):
        await Merger(worker.services).merge()
        assert metrics.vector_head._value.get() == new
    await Merger(worker.services).merge()
    assert metrics.vector_head._value.get() == 0
    assert metrics.vectors_merged._value.get() == moved + new


async def test_nothing_is_merged_while_this_worker_has_a_job(
    worker: TestWorker, me: NewIdentity, settings: Settings
) -> None:
    await stored(worker, me)
    with worker.services.leases.hold(new_id(), 1, confirmed_at=time.monotonic()):
        assert await Merger(worker.services).merge() == 0
    assert await Merger(worker.services).merge() > 0


async def test_nothing_is_merged_while_a_job_waits_for_a_worker(
    worker: TestWorker, me: NewIdentity, settings: Settings
) -> None:
    await stored(worker, me)
    async with owning(settings) as owner:
        await insert_many(owner, me, "queued")
        assert await Merger(worker.services).merge() > 0  # not admitted, so nobody could run it
        await owner.execute("UPDATE embeddings SET indexed = false")
        await owner.execute("UPDATE jobs SET dispatched_at = now() WHERE state = 'queued'")
        assert await Merger(worker.services).merge() == 0
        await owner.execute("UPDATE jobs SET dispatched_at = NULL")
    assert await Merger(worker.services).merge() > 0


async def test_above_the_limit_vectors_go_into_the_index_at_once(
    worker: TestWorker, me: NewIdentity, app_database: Database, settings: Settings
) -> None:
    limited = worker.with_settings(worker.services.settings.model_copy(update={"vector_head": 3}))
    await stored(limited, me)
    before = await head(settings)
    assert before > 3
    with limited.services.leases.hold(new_id(), 1, confirmed_at=time.monotonic()):
        await Merger(limited.services).merge()
    await stored(limited, me, TEXT.replace(b"Sentence", b"Another sentence"))
    assert await head(settings) == before < await everything(settings)
    assert len(await found(worker, app_database, me)) == await everything(settings)
    await Merger(limited.services).merge()
    assert await head(settings) == 0
    await stored(limited, me, TEXT.replace(b"Sentence", b"One more sentence"))
    assert await head(settings) > 3


async def test_without_a_head_every_vector_goes_into_the_index_at_once(
    worker: TestWorker, me: NewIdentity, settings: Settings
) -> None:
    limited = worker.with_settings(worker.services.settings.model_copy(update={"vector_head": 0}))
    await Merger(limited.services).merge()
    await stored(limited, me)
    assert (await head(settings), await everything(settings) > 0) == (0, True)


async def test_a_deletion_that_meets_a_merge_waits_and_leaves_nothing(
    worker: TestWorker, me: NewIdentity, app_database: Database, settings: Settings
) -> None:
    job = await stored(worker, me)
    assert job.document_id
    async with worker.services.database.transaction() as merging:
        assert await vectors.merge(merging.driver, most=3) == 3
        deleting = asyncio.create_task(_delete(app_database, me, job.document_id))
        await until(lambda: is_waited_for(settings, 1))
    await deleting
    assert await everything(settings) == 0


async def test_a_merge_that_meets_a_deletion_passes_over_what_goes(
    worker: TestWorker, me: NewIdentity, app_database: Database, settings: Settings
) -> None:
    job = await stored(worker, me)
    await stored(worker, me, TEXT.replace(b"Sentence", b"Another sentence"))
    every = await everything(settings)
    async with app_database.transaction(me.tenant_id) as transaction:
        assert job.document_id
        await documents.mark_deleted(transaction, job.document_id)
        await documents.purge(transaction, job.document_id)
        merged = await Merger(worker.services).merge()
    assert 0 < merged == await everything(settings) < every
    assert await head(settings) == 0


async def test_a_worker_that_dies_while_it_merges_loses_nothing(
    worker: TestWorker, me: NewIdentity, app_database: Database, settings: Settings
) -> None:
    await stored(worker, me)
    new, before = await head(settings), await found(worker, app_database, me)
    with pytest.raises(DependencyUnavailable):
        await _merge_and_die(worker, settings)
    assert (await head(settings), await everything(settings)) == (new, new)
    assert await found(worker, app_database, me) == before
    assert await Merger(worker.services).merge() == new


async def test_it_goes_on_when_postgres_was_away(
    worker: TestWorker, me: NewIdentity, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(worker, me)
    failures = iter([DependencyUnavailable("Postgres is away"), ValueError("a bug")])
    real = vectors.merge

    async def fails_twice(driver: object, *, most: int) -> int:
        if error := next(failures, None):
            raise error
        return await real(driver, most=most)  # type: ignore[arg-type]  # it is passed on

    async def is_empty() -> bool:
        return await head(settings) == 0

    monkeypatch.setattr(vectors, "merge", fails_twice)
    running = asyncio.create_task(Merger(worker.services).run())
    await until(is_empty)
    running.cancel()
    await asyncio.wait({running})


async def test_neither_serving_role_can_say_what_is_in_the_index(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    await stored(worker, me)
    for database in (worker.services.database, app_database):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(me.tenant_id) as transaction:
                await transaction.driver.execute("UPDATE embeddings SET indexed = true")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.transaction(me.tenant_id) as transaction:
            await vectors.merge(transaction.driver, most=1)


async def _delete(database: Database, me: NewIdentity, document_id: UUID) -> None:
    async with database.transaction(me.tenant_id) as transaction:
        await documents.mark_deleted(transaction, document_id)
        await documents.purge(transaction, document_id)


async def _merge_and_die(worker: TestWorker, settings: Settings) -> None:
    """Its connection is cut before the commit."""
    async with worker.services.database.transaction() as transaction:
        assert await vectors.merge(transaction.driver, most=3) == 3
        async with owning(settings) as owner:
            await owner.execute("SELECT pg_terminate_backend($1)", transaction.driver.get_server_pid())
        await transaction.driver.execute("SELECT")
