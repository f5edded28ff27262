"""Files that nobody needs leave the storage, and nothing else does."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from obstore.store import LocalStore
from structlog.testing import capture_logs

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Blob, Job
from arqueduct.repositories import children, documents, leftovers
from arqueduct.repositories.children import BATCH, Brood
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct.storage.layout import blob_key, text_key
from arqueduct_worker import janitor
from arqueduct_worker.janitor import Janitor
from arqueduct_worker.services import Services
from tests.integration.worker import TestWorker, insert, row, submit, until, working

DAYS = 2 * 24 * 3600


class Interrupted(Storage):
    """The storage of these services, to which something happens before files are deleted."""

    def __init__(self, services: Services, happens: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        place = services.settings.effective_storage_url
        super().__init__(LocalStore(urlsplit(place).path, automatic_cleanup=True), place)
        self._happens = happens

    async def delete(self, keys: Sequence[str]) -> None:
        await self._happens(keys)
        await super().delete(keys)


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


def root(worker: TestWorker) -> Path:
    return worker.services.settings.data_dir / "storage"


def keys(worker: TestWorker) -> set[str]:
    return {str(path.relative_to(root(worker))) for path in root(worker).rglob("*") if path.is_file()}


def put(worker: TestWorker, key: str, *, age: float = DAYS) -> str:
    """A file, last written so many seconds ago."""
    path = root(worker) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    os.utime(path, (time.time() - age,) * 2)
    return key


def make_old(worker: TestWorker) -> None:
    for path in root(worker).rglob("*"):
        os.utime(path, (time.time() - DAYS,) * 2)


async def stored(worker: TestWorker, me: NewIdentity, content: bytes = b"some text") -> Job:
    """A document that is ready, its files old."""
    job = await submit(worker, me, content, format=Format.TEXT)
    await worker.run(job.id)
    make_old(worker)
    return job


async def blob_of(worker: TestWorker, me: NewIdentity, job: Job) -> UUID:
    async with worker.services.database.transaction(me.tenant_id) as transaction:
        found: UUID = await transaction.driver.fetchval("SELECT blob_id FROM documents WHERE job_id = $1", job.id)
    return found


def removed(what: str) -> float:
    return float(metrics.janitor_removed.labels(what)._value.get())


async def test_what_rows_name_stays_whoever_owns_it(
    worker: TestWorker, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> None:
    await stored(worker, me)
    await stored(worker, await new_identity())
    before = keys(worker)
    assert len(before) == 4
    assert await Janitor(worker.services).clean()
    assert keys(worker) == before


async def test_files_of_a_blob_that_is_not_there_go_when_they_are_old(worker: TestWorker, me: NewIdentity) -> None:
    lost, text = new_id(), removed("orphan")
    put(worker, blob_key(me.tenant_id, lost))
    put(worker, text_key(me.tenant_id, lost, "ab12"))
    coming = put(worker, blob_key(me.tenant_id, new_id()), age=23 * 3600)
    assert await Janitor(worker.services).clean()
    assert keys(worker) == {coming}
    assert removed("orphan") == text + 2
    assert not (root(worker) / blob_key(me.tenant_id, lost)).parent.exists()


async def test_there_may_be_thousands(worker: TestWorker, me: NewIdentity) -> None:
    await stored(worker, me)
    before = keys(worker)
    for _ in range(2500):
        put(worker, blob_key(me.tenant_id, new_id()))
    assert await Janitor(worker.services).clean()
    assert keys(worker) == before


async def test_a_text_that_no_document_names_goes_when_it_is_old(worker: TestWorker, me: NewIdentity) -> None:
    job = await stored(worker, me)
    before, blob_id = keys(worker), await blob_of(worker, me, job)
    put(worker, text_key(me.tenant_id, blob_id, "0ld"))
    young = put(worker, text_key(me.tenant_id, blob_id, "y0ung"), age=60)
    assert await Janitor(worker.services).clean()
    assert keys(worker) == before | {young}


@pytest.mark.parametrize("state", ["queued", "failed"])
async def test_a_text_stays_that_a_job_may_still_take(worker: TestWorker, me: NewIdentity, state: str) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    text = put(worker, text_key(me.tenant_id, await blob_of(worker, me, job), "ab12"))
    if state == "failed":
        async with worker.services.database.transaction() as transaction:
            await transaction.driver.execute("UPDATE jobs SET state = 'failed', finished_at = now()")
    assert await Janitor(worker.services).clean()
    assert text in keys(worker)


async def test_what_is_not_ours_is_left_alone_and_told_once(worker: TestWorker, me: NewIdentity) -> None:
    foreign = {
        put(worker, blob_key(new_id(), new_id())),
        put(worker, f"tenants/{me.tenant_id}/blobs/{new_id()}/thumbnail"),
        put(worker, f"tenants/{me.tenant_id}/notes.txt"),
        put(worker, "somewhere else"),
    }
    with capture_logs() as lines:
        assert await Janitor(worker.services).clean()
    assert keys(worker) == foreign
    (told,) = [line for line in lines if line["event"] == "files that are not ours were left alone"]
    assert (told["unknown_keys"], told["unknown_tenants"]) == (2, 1)


async def test_halves_of_files_go_when_they_are_old(worker: TestWorker, me: NewIdentity) -> None:
    put(worker, blob_key(me.tenant_id, new_id()) + "#1")
    young = put(worker, blob_key(me.tenant_id, new_id()) + "#1", age=60)
    assert await Janitor(worker.services).clean()
    assert keys(worker) == {young}
    assert len(list((root(worker) / f"tenants/{me.tenant_id}/blobs").iterdir())) == 1


async def test_one_worker_cleans_once_a_day(worker: TestWorker, me: NewIdentity) -> None:
    services = worker.services
    assert sorted(await asyncio.gather(Janitor(services).clean(), Janitor(services).clean())) == [False, True]
    assert not await Janitor(services).clean()
    await _set(services, "done_at = done_at - interval '1 day'")
    assert await Janitor(services).clean()


async def test_what_a_stopped_worker_left_is_begun_anew(worker: TestWorker, me: NewIdentity) -> None:
    await _set(worker.services, "begun_at = now() - interval '59 minutes'")
    assert not await Janitor(worker.services).clean()
    await _set(worker.services, "begun_at = now() - interval '61 minutes'")
    assert await Janitor(worker.services).clean()


async def test_it_can_be_switched_off(settings: Settings, me: NewIdentity) -> None:
    async with working(settings.model_copy(update={"janitor_hours": 0.0}), me) as worker:
        assert not await Janitor(worker.services).clean()


async def test_what_is_deleted_meanwhile_is_not_missed(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await stored(worker, me)
    put(worker, text_key(me.tenant_id, await blob_of(worker, me, job), "0ld"))
    lost = [put(worker, blob_key(me.tenant_id, new_id())) for _ in range(3)]

    async def somebody_deletes(doomed: Sequence[str]) -> None:
        await worker.services.storage.delete_prefix(doomed[0])
        assert job.document_id is not None
        async with app_database.transaction(me.tenant_id) as transaction:
            await documents.mark_deleted(transaction, job.document_id)

    services = replace(worker.services, storage=Interrupted(worker.services, somebody_deletes))
    assert await Janitor(services).clean()
    assert not keys(worker) & set(lost)
    assert not [key for key in keys(worker) if "0ld" in key]


async def test_an_upload_of_the_same_bytes_keeps_their_texts(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await stored(worker, me)
    blob_id = await blob_of(worker, me, job)
    text = put(worker, text_key(me.tenant_id, blob_id, "ab12"))
    blob = await _blob(worker, me, blob_id)
    async with app_database.transaction(me.tenant_id) as transaction:
        kept = await documents.add_blob(transaction, blob)
        assert kept.id == blob_id
        assert await Janitor(worker.services).clean()
    assert text in keys(worker)


async def test_an_upload_that_comes_while_texts_are_deleted_waits_and_extracts_anew(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    job = await stored(worker, me)
    blob_id = await blob_of(worker, me, job)
    blob = await _blob(worker, me, blob_id)
    async with worker.services.database.transaction(me.tenant_id) as transaction:  # as if read by an older recipe
        recipe = await transaction.driver.fetchval("SELECT text_recipe FROM documents")
        await transaction.driver.execute("UPDATE documents SET text_recipe = '0ld'")
    uploads: list[asyncio.Task[Job]] = []

    async def somebody_uploads(_doomed: Sequence[str]) -> None:
        uploads.append(asyncio.create_task(insert(worker.services.settings, me, blob, format=Format.TEXT, name="b")))
        await until(lambda: _somebody_waits(worker.services.database))

    services = replace(worker.services, storage=Interrupted(worker.services, somebody_uploads))
    assert await Janitor(services).clean()
    assert text_key(me.tenant_id, blob_id, recipe) not in keys(worker)
    second = await uploads[0]
    await worker.run(second.id, (await row(worker.services.database, second.id))["dispatch"])
    assert (await row(worker.services.database, second.id))["state"] == "completed"
    assert text_key(me.tenant_id, blob_id, recipe) in keys(worker)


async def test_it_goes_on_when_the_storage_is_away(
    worker: TestWorker, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "ASK_SECONDS", 0.01)
    lost = put(worker, blob_key(me.tenant_id, new_id()))
    failures = iter([OSError("the disk went away"), None])

    async def fails_once(_doomed: Sequence[str]) -> None:
        if error := next(failures):
            await _set(worker.services, "begun_at = now() - interval '2 hours'")
            raise error

    async def is_clean() -> bool:
        return not (root(worker) / lost).exists()  # not a walk: folders go while one looks

    running = asyncio.create_task(
        Janitor(replace(worker.services, storage=Interrupted(worker.services, fails_once))).run()
    )
    await until(is_clean)
    running.cancel()
    await asyncio.wait({running})


async def _blob(worker: TestWorker, me: NewIdentity, blob_id: UUID) -> Blob:
    """An upload of the bytes of this blob, as yet under an id of its own."""
    async with worker.services.database.transaction(me.tenant_id) as transaction:
        found = await transaction.driver.fetchrow("SELECT sha256, size FROM blobs WHERE id = $1", blob_id)
    assert found is not None
    return Blob(id=new_id(), tenant_id=me.tenant_id, **found)


async def _set(services: Services, what: str) -> None:
    async with services.database.transaction() as transaction:
        await transaction.driver.execute(f"UPDATE chores SET {what} WHERE name = 'clean storage'")


async def _somebody_waits(database: Database) -> bool:
    async with database.transaction() as transaction:
        return bool(await transaction.driver.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))


async def test_a_blob_whose_document_is_processed_again_is_held(worker: TestWorker, me: NewIdentity) -> None:
    """The new job may count on a text that a job before it kept."""
    job = await stored(worker, me)
    assert job.document_id
    database = worker.services.database
    brood = Brood(
        tenant_id=me.tenant_id,
        user_id=me.user_id,
        parent_kind=BATCH,
        name="again",
        kind=job.kind,
        document_ids=[job.document_id],
    )
    async with database.transaction(me.tenant_id) as planting, database.transaction(me.tenant_id) as cleaning:
        blob = await planting.driver.fetchval("SELECT blob_id FROM documents WHERE id = $1", job.document_id)
        assert await children.plant(planting.driver, brood)
        assert await leftovers.lock_blobs(cleaning.driver, [blob]) == set()
