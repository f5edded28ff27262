"""Upkeep that is put aside goes on where it was; a lost attempt writes nothing; what is damaged is told."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import JobState
from arqueduct.pipeline import StageContext
from arqueduct.repositories import archive as archiving
from arqueduct.repositories import documents
from arqueduct.repositories.upkeep import Policy
from arqueduct.settings import Settings
from arqueduct.storage import Storage, store
from arqueduct.storage.layout import blob_key, text_key
from arqueduct_worker.stages.retain import Retain
from arqueduct_worker.tally import Tally
from tests.integration.backend import ingest
from tests.integration.many_jobs import Owner
from tests.integration.test_archive import WATER
from tests.integration.test_archive import run as ran
from tests.integration.test_upkeep import ALL, make_old, owner, put
from tests.integration.worker import TestWorker, row

__all__ = ["owner"]


async def resting(api: httpx.AsyncClient, worker: TestWorker, owner: Owner, count: int) -> list[dict[str, Any]]:
    """Documents that were archived, and whose originals stayed hot."""
    made = [await ingest(api, worker, WATER + b"%d" % number, f"{number}.md") for number in range(count)]
    await owner.execute("UPDATE documents SET archived_at = now()")
    return made


async def report_of(api: httpx.AsyncClient, job_id: UUID) -> dict[str, Any]:
    return dict((await api.get(f"/api/v1/upkeep/runs/{job_id}")).raise_for_status().json()["targets"])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up whenever a place is reached."""
    reach = Tally.reach

    def and_time_is_up(self: Tally, step: str, place: Any) -> None:
        reach(self, step, place)
        self._context.is_time_up = True

    monkeypatch.setattr(Tally, "reach", and_time_is_up)


async def run_until_done(worker: TestWorker, answer: httpx.Response) -> tuple[UUID, list[float]]:
    """The job, and the progress after each attempt that was put aside."""
    job_id = UUID(answer.raise_for_status().json()["id"])
    reached: list[float] = []
    while (found := await row(worker.services.database, job_id))["state"] == JobState.QUEUED:
        await worker.run(job_id, found["dispatch"])
        found = await row(worker.services.database, job_id)
        assert found["error"] is None
        reached.append(found["progress"])
    assert found["state"] == JobState.COMPLETED
    return job_id, reached[:-1]


async def test_optimising_goes_on_however_often_its_time_is_up(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, hasty: None
) -> None:
    made = await resting(api, api_worker, owner, 4)
    job_id, reached = await run_until_done(api_worker, await api.post("/api/v1/storage/optimise"))
    assert len(reached) == 4
    assert max(reached) < 1, "files are still to be looked at"
    assert (await report_of(api, job_id))["frozen"]["rows"] == len(made)
    assert {place["place"] for place in await owner.fetch("SELECT place FROM blobs")} == {"cold"}


async def test_a_dry_run_goes_on_with_the_next_policy(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, hasty: None
) -> None:
    for number in range(2):
        await make_old(owner, await ingest(api, api_worker, WATER + b"%d" % number, f"{number}.md"))
    await put(api, *ALL)
    job_id, reached = await run_until_done(api_worker, await api.post("/api/v1/retention/run", json={"dry_run": True}))
    assert len(reached) == len(ALL) - 1
    assert reached == sorted(reached)
    assert max(reached) < 1
    told = {target: found["rows"] for target, found in (await report_of(api, job_id)).items()}
    assert told == {"documents": 2, "originals": 2, "texts": 0, "jobs": 0}


async def test_a_dry_run_whose_policies_were_changed_counts_anew(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, hasty: None
) -> None:
    await make_old(owner, await ingest(api, api_worker, WATER, "old.md"))
    await put(api, *ALL)
    answer = await api.post("/api/v1/retention/run", json={"dry_run": True})
    await api_worker.run(UUID(answer.json()["id"]))
    await put(api, {"target": "documents", "days": 30})
    job_id, _ = await run_until_done(api_worker, answer)
    assert await report_of(api, job_id) == {"documents": {"rows": 0, "bytes": 0, "sample": []}}


@pytest.mark.parametrize("kind", ["optimise", "dry", "real"])
async def test_a_walk_through_a_storage_with_an_order_goes_on_where_it_was(
    api: httpx.AsyncClient,
    api_worker: TestWorker,
    me: NewIdentity,
    owner: Owner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hasty: None,
    kind: str,
) -> None:
    await ingest(api, api_worker, WATER, "water.md")
    storage = Storage.open("memory:///")
    blob = await owner.fetchval("SELECT id FROM blobs")
    keys = [blob_key(me.tenant_id, blob), *(text_key(me.tenant_id, blob, f"ab{number}") for number in range(3))]
    await asyncio.to_thread((tmp_path / "file").write_bytes, b"1234567")
    for key in keys:
        await storage.put_file(key, tmp_path / "file")
    monkeypatch.setattr(store, "PAGE", 1)
    monkeypatch.setattr(Policy, "age", -timedelta(minutes=1))
    worker = replace(api_worker, services=replace(api_worker.services, storage=storage))
    await put(api, {"target": "texts", "days": 1, "is_enabled": True})
    path, body = ("storage/optimise", None) if kind == "optimise" else ("retention/run", {"dry_run": kind == "dry"})
    job_id, reached = await run_until_done(worker, await api.post(f"/api/v1/{path}", json=body))
    assert len(reached) == len(keys) - 1
    if kind == "optimise":
        assert (await api.get("/api/v1/storage")).json()["texts_bytes"] == 3 * 7, "each was measured once"
    else:
        assert (await report_of(api, job_id))["texts"]["rows"] == 3


async def test_an_attempt_that_lost_its_job_deletes_nothing_more(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await make_old(owner, await ingest(api, api_worker, WATER + b"%d" % number, f"{number}.md"))
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    asked = (await api.post("/api/v1/retention/run", json={"dry_run": False})).json()
    job_id = UUID(asked["id"])
    purge = documents.purge

    async def and_another_claims(*args: Any, **kwargs: Any) -> Any:
        await owner.execute("UPDATE jobs SET fence = fence + 1 WHERE id = $1", job_id)
        return await purge(*args, **kwargs)

    monkeypatch.setattr(documents, "purge", and_another_claims)
    await api_worker.run(job_id)
    assert (await row(api_worker.services.database, job_id))["state"] == JobState.RUNNING
    assert await owner.fetchval("SELECT count(*) FROM documents WHERE deleted_at IS NULL") == 2
    assert (await report_of(api, job_id))["documents"]["rows"] == 1


async def test_a_report_is_the_work_of_who_has_the_job(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(api, {"target": "jobs", "days": 10})
    job_id = UUID((await api.post("/api/v1/retention/run", json={"dry_run": True})).json()["id"])
    original = Retain.run

    async def too_late(self: Retain, context: StageContext) -> None:
        await owner.execute("UPDATE jobs SET fence = fence + 1 WHERE id = $1", job_id)
        await original(self, context)

    monkeypatch.setattr(Retain, "run", too_late)
    await api_worker.run(job_id)
    assert await report_of(api, job_id) == {}


async def test_an_attempt_that_lost_its_job_hides_nothing(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    batch = {"action": "document.archive", "document_ids": [document["id"]]}
    (await api.post("/api/v1/batches", json=batch)).raise_for_status()
    job_id = await owner.fetchval("SELECT id FROM jobs WHERE kind = 'document.archive'")
    await owner.execute("UPDATE documents SET archived_at = NULL")  # brought back by what ran instead of it
    hide = archiving.hide

    async def too_late(*args: Any) -> bool:
        await owner.execute("UPDATE jobs SET fence = fence + 1 WHERE id = $1", job_id)
        return await hide(*args)

    monkeypatch.setattr(archiving, "hide", too_late)
    await api_worker.run(job_id)
    assert await owner.fetchval("SELECT archived_at FROM documents") is None


@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "damaged"])
async def test_an_original_that_is_damaged_is_told_and_the_others_are_frozen(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity, settings: Settings, is_missing: bool
) -> None:
    await resting(api, api_worker, owner, 3)
    blob = await owner.fetchval("SELECT id FROM blobs ORDER BY id LIMIT 1")
    file = settings.data_dir / "storage" / blob_key(me.tenant_id, blob)
    await asyncio.to_thread(file.unlink if is_missing else lambda: file.write_bytes(b"other"))
    job = await ran(api_worker, await api.post("/api/v1/storage/optimise"))
    assert job["state"] == JobState.COMPLETED
    report = await report_of(api, job["id"])
    assert report["damaged"] == {"rows": 1, "bytes": 0, "sample": [str(blob)]}
    assert report["frozen"]["rows"] == 2
    assert await owner.fetchval("SELECT place FROM blobs WHERE id = $1", blob) == "hot"


async def test_an_original_that_is_deleted_before_its_turn_is_not_damaged(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = await resting(api, api_worker, owner, 2)
    get_file = Storage.get_file

    async def and_delete(self: Storage, key: str, *args: Any) -> str:
        if (await api.get(f"/api/v1/documents/{second['id']}")).is_success:
            (await api.delete(f"/api/v1/documents/{second['id']}")).raise_for_status()
        return await get_file(self, key, *args)

    monkeypatch.setattr(Storage, "get_file", and_delete)
    job = await ran(api_worker, await api.post("/api/v1/storage/optimise"))
    assert job["state"] == JobState.COMPLETED
    report = await report_of(api, job["id"])
    assert (report["frozen"]["rows"], "damaged" in report) == (1, False)
