"""What is old leaves as the tenant says, and nothing else does; a dry run tells the same and changes nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from arqueduct.database import Database, Driver
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import JobState
from arqueduct.pipeline import StageContext
from arqueduct.repositories import upkeep
from arqueduct.repositories.upkeep import Policy, Target
from arqueduct.settings import Settings
from arqueduct.storage.layout import blob_key, cold_key, text_key
from arqueduct_worker.housekeeping import Housekeeping
from arqueduct_worker.stages import retain
from tests.integration.backend import ingest, problem, stored_files, upload
from tests.integration.many_jobs import Owner, owning
from tests.integration.test_archive import WATER, age, archive, content, found
from tests.integration.test_archive import run as ran
from tests.integration.worker import TestWorker, row

ALL = [{"target": target, "days": 10, "is_enabled": True} for target in ("documents", "originals", "texts", "jobs")]


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as opened:
        yield opened


async def put(api: httpx.AsyncClient, *policies: dict[str, Any]) -> Any:
    answer = await api.put("/api/v1/retention", json=by_target(*policies))
    return answer.raise_for_status().json()


def by_target(*policies: dict[str, Any]) -> dict[str, Any]:
    return {
        policy["target"]: {name: value for name, value in policy.items() if name != "target"} for policy in policies
    }


async def apply(api: httpx.AsyncClient, worker: TestWorker, *, dry: bool = False) -> dict[str, Any]:
    """The report of a run that ended well."""
    job = await ran(worker, await api.post("/api/v1/retention/run", json={"dry_run": dry}))
    assert job["state"] == JobState.COMPLETED, job["error"]
    report = (await api.get(f"/api/v1/upkeep/runs/{job['id']}")).raise_for_status().json()
    assert report["dry_run"] is dry
    return dict(report["targets"])


async def make_old(owner: Owner, document: dict[str, Any]) -> None:
    """Eleven days."""
    await owner.execute(
        "UPDATE documents SET created_at = created_at - interval '11 days' WHERE id = $1", UUID(document["id"])
    )


async def test_old_documents_leave_and_young_ones_stay(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, settings: Settings
) -> None:
    old = await ingest(api, api_worker, WATER, "old.md")
    young = await ingest(api, api_worker, WATER + b"Young.", "young.md")
    await make_old(owner, old)
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    report = await apply(api, api_worker)
    assert report["documents"] == {"rows": 1, "bytes": len(WATER), "sample": [old["id"]]}
    problem(await api.get(f"/api/v1/documents/{old['id']}"), 404, "not_found")
    assert await found(api) == {young["id"]}
    assert len(await stored_files(settings)) == 2


async def test_of_old_documents_only_the_originals_may_leave(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    document = await ingest(api, api_worker, WATER, "old.md")
    await make_old(owner, document)
    await put(api, {"target": "originals", "days": 10, "is_enabled": True})
    report = await apply(api, api_worker)
    assert report["originals"] == {"rows": 1, "bytes": len(WATER), "sample": [document["id"]]}
    problem(await content(api, document), 410, "original_removed")
    assert await found(api) == {document["id"]}
    assert (await api.get(f"/api/v1/documents/{document['id']}/text")).is_success
    assert (await api.get("/api/v1/usage")).json()["tenant"]["bytes"]["used"] == 0
    assert await apply(api, api_worker) == {}


async def test_bytes_that_a_young_document_has_too_stay(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, settings: Settings
) -> None:
    old = await ingest(api, api_worker, WATER, "old.md")
    young = await ingest(api, api_worker, WATER, "young.md")
    await make_old(owner, old)
    await put(api, {"target": "originals", "days": 10, "is_enabled": True})
    dry = await apply(api, api_worker, dry=True)
    assert dry["originals"]["bytes"] == 0
    assert (await apply(api, api_worker))["originals"]["bytes"] == 0
    problem(await content(api, old), 410, "original_removed")
    assert (await content(api, young)).content == WATER
    await api.delete(f"/api/v1/documents/{young['id']}")
    assert await owner.fetchval("SELECT place FROM blobs") == "removed"


async def test_removed_bytes_come_back_with_an_upload_and_only_for_it(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    old = await ingest(api, api_worker, WATER, "old.md")
    await make_old(owner, old)
    await put(api, {"target": "originals", "days": 10, "is_enabled": True})
    await apply(api, api_worker)
    new = await ingest(api, api_worker, WATER, "new.md")
    assert (await content(api, new)).content == WATER
    problem(await content(api, old), 410, "original_removed")


@pytest.mark.parametrize("target", ["documents", "originals"])
async def test_what_is_archived_stays_however_old(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, target: str, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "old.md")
    await archive(api, api_worker, document)
    await make_old(owner, document)
    before = await stored_files(settings)
    await put(api, {"target": target, "days": 10, "is_enabled": True})
    assert await apply(api, api_worker) == {}
    assert await stored_files(settings) == before


async def test_an_original_without_a_text_is_all_there_is_of_it(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    broken = await upload(api, b"%PDF-1.7 not a PDF", "broken.pdf")
    await api_worker.run(UUID(broken["job"]["id"]))
    await make_old(owner, broken["document"])
    await put(api, {"target": "originals", "days": 10, "is_enabled": True})
    assert await apply(api, api_worker) == {}


async def test_filters_narrow_what_is_meant(api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner) -> None:
    text = await ingest(api, api_worker, WATER, "text.txt")
    broken = await upload(api, b"%PDF-1.7 not a PDF", "broken.pdf")
    await api_worker.run(UUID(broken["job"]["id"]))
    for document in (text, broken["document"]):
        await make_old(owner, document)
    await put(api, {"target": "documents", "days": 10, "states": ["failed"], "is_enabled": True})
    assert (await apply(api, api_worker))["documents"]["sample"] == [broken["document"]["id"]]
    await put(api, {"target": "documents", "days": 10, "content_types": ["application/pdf"], "is_enabled": True})
    assert await apply(api, api_worker) == {}
    await put(api, {"target": "documents", "days": 10, "content_types": ["text/plain"], "is_enabled": True})
    assert (await apply(api, api_worker))["documents"]["rows"] == 1


@pytest.mark.parametrize(
    "policy",
    [
        {"target": "jobs", "days": 1, "content_types": ["text/plain"]},
        {"target": "texts", "days": 1, "states": ["failed"]},
        {"target": "documents", "days": 0},
        {"target": "passwords", "days": 1},
    ],
    ids=["types of jobs", "states of texts", "no days", "unknown"],
)
async def test_a_policy_that_means_nothing_is_refused(api: httpx.AsyncClient, policy: dict[str, Any]) -> None:
    answer = await api.put("/api/v1/retention", json=by_target(policy))
    assert answer.status_code == 422


async def test_a_document_that_is_processed_stays(api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner) -> None:
    accepted = await upload(api, WATER, "waits.md")
    await make_old(owner, accepted["document"])
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    assert await apply(api, api_worker) == {}


async def test_texts_that_only_a_retry_would_use_leave(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity, settings: Settings
) -> None:
    await ingest(api, api_worker, WATER, "kept.md")
    broken = await upload(api, b"%PDF-1.7 not a PDF", "broken.pdf")
    await api_worker.run(UUID(broken["job"]["id"]))
    blob = await owner.fetchval("SELECT blob_id FROM documents WHERE id = $1", UUID(broken["document"]["id"]))
    key = await a_file(settings, text_key(me.tenant_id, blob, "ab12"))
    await age(settings)
    await put(api, {"target": "texts", "days": 1, "is_enabled": True})
    dry = await apply(api, api_worker, dry=True)
    assert dry["texts"] == {"rows": 1, "bytes": 7, "sample": [key]}
    assert (await apply(api, api_worker))["texts"]["rows"] == 1
    assert f"storage/{key}" not in await stored_files(settings)
    assert len([file for file in await stored_files(settings) if "/text/" in file]) == 1


async def test_finished_jobs_leave_with_their_history(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    await archive(api, api_worker, document)
    others = await ingest(stranger, api_worker, WATER, "theirs.md")
    await archive(stranger, api_worker, others)
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '11 days'")
    await put(api, {"target": "jobs", "days": 10, "is_enabled": True})
    assert (await apply(api, api_worker))["jobs"]["rows"] == 1
    kinds = [job["kind"] for job in (await api.get("/api/v1/jobs")).json()["items"]]
    assert kinds == ["retention.apply", "document.ingest"]
    assert len((await stranger.get("/api/v1/jobs")).json()["items"]) == 2


async def everything(owner: Owner, settings: Settings) -> dict[str, str]:
    """A hash of each table, but for rows of runs of upkeep, and of each file."""
    of_runs = "SELECT id FROM jobs WHERE kind = 'retention.apply'"
    without = {
        "jobs": "kind <> 'retention.apply'",
        "upkeep_runs": f"id NOT IN ({of_runs})",
        **dict.fromkeys(("job_events", "job_attempts"), f"job_id NOT IN ({of_runs})"),
        **dict.fromkeys(("audit_log", "kept_answers", "workers", "api_keys", "fair_shares"), "false"),
    }
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    hashes = {
        name: await owner.fetchval(
            f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t "
            f"WHERE {without.get(name, 'true')}"
        )
        for (name,) in tables
    }
    for file in await stored_files(settings):
        content = await asyncio.to_thread((settings.data_dir / file).read_bytes)
        hashes[file] = hashlib.sha256(content).hexdigest()
    return hashes


async def test_a_dry_run_changes_nothing_and_tells_what_a_run_does(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, settings: Settings
) -> None:
    for number in range(3):
        document = await ingest(api, api_worker, WATER + b"%d" % number, f"{number}.md")
        await make_old(owner, document)
        if number == 0:
            await archive(api, api_worker, document)
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '11 days'")
    await put(api, *ALL)
    before = await everything(owner, settings)
    told = await apply(api, api_worker, dry=True)
    assert await everything(owner, settings) == before
    assert {target: entry["rows"] for target, entry in told.items()} == {
        "documents": 2,
        "originals": 2,
        "texts": 0,
        "jobs": 1,
    }
    await put(api, *(policy for policy in ALL if policy["target"] != "originals"))
    done = await apply(api, api_worker)
    assert done["documents"] == told["documents"]
    assert await everything(owner, settings) != before


async def test_a_dry_run_tells_of_policies_that_are_switched_off(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    document = await ingest(api, api_worker, WATER, "old.md")
    await make_old(owner, document)
    await put(api, {"target": "documents", "days": 10})
    assert (await apply(api, api_worker, dry=True))["documents"]["rows"] == 1
    assert await apply(api, api_worker) == {}


async def test_one_run_at_a_time(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    answers = await asyncio.gather(*(api.post("/api/v1/retention/run", json={"dry_run": False}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 4
    assert (await api.post("/api/v1/retention/run", json={})).status_code == 202


async def test_once_a_day_it_runs_by_itself_whatever_the_number_of_workers(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity
) -> None:
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    await put(stranger, {"target": "documents", "days": 10})
    made = await asyncio.gather(*(Housekeeping(api_worker.services).queue_retention() for _ in range(4)))
    (job,) = (job for jobs in made for job in jobs)
    await api_worker.run(job)
    assert (await row(api_worker.services.database, job))["state"] == JobState.COMPLETED
    assert await Housekeeping(api_worker.services).queue_retention() == []
    await owner.execute("UPDATE upkeep_runs SET created_at = now() - interval '2 days'")
    (again,) = await Housekeeping(api_worker.services).queue_retention()
    assert (await api.get(f"/api/v1/upkeep/runs/{again}")).is_success


async def test_a_run_that_was_told_to_stop_goes_on_and_counts_once(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await make_old(owner, await ingest(api, api_worker, WATER + b"%d" % number, f"{number}.md"))
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    asked = (await api.post("/api/v1/retention/run", json={"dry_run": False})).json()
    purge = retain.documents.purge
    contexts: list[StageContext] = []
    original = retain.Retain.run

    async def remember(self: retain.Retain, context: StageContext) -> None:
        contexts.append(context)
        await original(self, context)

    async def and_time_is_up(*args: Any, **kwargs: Any) -> Any:
        contexts[-1].is_time_up = len(contexts) == 1
        return await purge(*args, **kwargs)

    monkeypatch.setattr(retain.Retain, "run", remember)
    monkeypatch.setattr(retain.documents, "purge", and_time_is_up)
    await api_worker.run(UUID(asked["id"]))
    snoozed = await row(api_worker.services.database, UUID(asked["id"]))
    assert (snoozed["state"], snoozed["failures"]) == (JobState.QUEUED, 0)
    await api_worker.run(UUID(asked["id"]), snoozed["dispatch"])
    report = (await api.get(f"/api/v1/upkeep/runs/{asked['id']}")).json()["targets"]["documents"]
    assert (report["rows"], len(report["sample"])) == (4, 4)
    assert await owner.fetchval("SELECT count(*) FROM documents") == 0


async def test_a_run_that_is_cancelled_tells_what_it_did(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await make_old(owner, await ingest(api, api_worker, WATER + b"%d" % number, f"{number}.md"))
    await put(api, {"target": "documents", "days": 10, "is_enabled": True})
    asked = (await api.post("/api/v1/retention/run", json={"dry_run": False})).json()
    purge = retain.documents.purge

    async def and_cancel(*args: Any, **kwargs: Any) -> Any:
        assert (await api.post(f"/api/v1/jobs/{asked['id']}/cancel")).status_code == 202
        await asyncio.sleep(10)  # until the worker hears of it, which ends this
        return await purge(*args, **kwargs)

    monkeypatch.setattr(retain.documents, "purge", and_cancel)
    await api_worker.run(UUID(asked["id"]))
    assert (await row(api_worker.services.database, UUID(asked["id"])))["state"] == JobState.CANCELLED
    report = (await api.get(f"/api/v1/upkeep/runs/{asked['id']}")).json()["targets"]["documents"]
    assert report["rows"] == await owner.fetchval("SELECT count(*) FROM documents WHERE deleted_at IS NOT NULL") == 1
    assert (await api.post("/api/v1/retention/run", json={"dry_run": False})).status_code == 202


async def test_runs_are_seen_by_their_tenant_only(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    job = (await api.post("/api/v1/retention/run", json={})).json()
    problem(await stranger.get(f"/api/v1/upkeep/runs/{job['id']}"), 404, "not_found")


async def a_file(settings: Settings, key: str) -> str:
    path = settings.data_dir / "storage" / key

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")

    await asyncio.to_thread(write)
    return key


async def test_storage_tells_what_is_saved(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    first = await ingest(api, api_worker, WATER, "first.md")
    await ingest(api, api_worker, WATER, "second.md")
    away = await ingest(api, api_worker, WATER * 2, "away.md")
    await archive(api, api_worker, away)
    shown = (await api.get("/api/v1/storage")).json()
    size = first["size"]
    assert (shown["documents"], shown["archived"], shown["logical_bytes"]) == (3, 1, 4 * size)
    assert (shown["hot_bytes"], shown["shared_bytes"]) == (size, size)
    assert shown["cold_bytes"] + shown["compressed_bytes"] == 2 * size
    assert shown["texts_bytes"] is None


async def test_optimising_frees_what_nobody_can_ask_for(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity, settings: Settings
) -> None:
    kept = await ingest(api, api_worker, WATER, "kept.md")
    shared = [await ingest(api, api_worker, WATER * 2, f"shared {number}.md") for number in range(2)]
    await archive(api, api_worker, shared[0])
    await api.delete(f"/api/v1/documents/{shared[1]['id']}")  # only an archived document is left of these bytes
    blob = await owner.fetchval("SELECT blob_id FROM documents WHERE id = $1", UUID(kept["id"]))
    for key in (
        text_key(me.tenant_id, blob, "0ld"),
        blob_key(me.tenant_id, blob, UUID(int=1)),
        cold_key(me.tenant_id, blob, UUID(int=2)),
    ):
        await a_file(settings, key)
    await age(settings)
    job = await ran(api_worker, await api.post("/api/v1/storage/optimise"))
    assert job["state"] == JobState.COMPLETED, job["error"]
    report = (await api.get(f"/api/v1/upkeep/runs/{job['id']}")).json()["targets"]
    assert report["frozen"]["rows"] == 1
    assert 0 < report["frozen"]["bytes"] < 2 * len(WATER)
    assert (report["texts"]["rows"], report["copies"]) == (1, {"rows": 2, "bytes": 14, "sample": []})
    assert (await api.get("/api/v1/storage")).json()["texts_bytes"] > 0
    assert (await content(api, kept)).content == WATER
    answer = await api.post(f"/api/v1/documents/{shared[0]['id']}/restore")
    assert (await ran(api_worker, answer))["state"] == JobState.COMPLETED
    assert (await content(api, shared[0])).content == WATER * 2


async def test_copies_that_are_young_are_left_alone(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity, settings: Settings
) -> None:
    document = await ingest(api, api_worker, WATER, "water.md")
    blob = await owner.fetchval("SELECT blob_id FROM documents WHERE id = $1", UUID(document["id"]))
    coming = await a_file(settings, blob_key(me.tenant_id, blob, UUID(int=1)))
    await ran(api_worker, await api.post("/api/v1/storage/optimise"))
    assert f"storage/{coming}" in await stored_files(settings)


class Weighed:
    """A connection that adds up the rows which each step of a statement went through."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.rows = 0.0

    async def fetchrow(self, statement: str, *arguments: object) -> Any:
        told = await self._driver.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *arguments)
        self.rows += sum(_went_through(told[0]["Plan"]))
        return await self._driver.fetchrow(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: object) -> Any:
        return (await self.fetchrow(statement, *arguments))[0]


def _went_through(step: dict[str, Any]) -> Iterator[float]:
    removed = sum(amount for name, amount in step.items() if name.startswith("Rows Removed by"))
    yield (step["Actual Rows"] + removed) * step["Actual Loops"]
    for part in step.get("Plans", ()):
        yield from _went_through(part)


async def many_documents(owner: Owner, me: NewIdentity, count: int) -> None:
    """Old ones, each with bytes of its own, and nobody has told Postgres how many they are."""
    await owner.execute("ALTER TABLE documents SET (autovacuum_enabled = off)")
    await owner.execute("ALTER TABLE blobs SET (autovacuum_enabled = off)")
    await owner.execute(
        """
        WITH blob AS (
            INSERT INTO blobs (id, tenant_id, sha256, size)
            SELECT gen_random_uuid(), $1, gen_random_uuid()::text, 10 FROM generate_series(1, $3::int) RETURNING id
        )
        INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language,
            text_recipe, created_at)
        SELECT gen_random_uuid(), $1, $2, id, 'x', 'text/plain', 10, 'x', 'english', 'r', now() - interval '11 days'
        FROM blob
        """,
        *(me.tenant_id, me.user_id, count),
    )


@pytest.mark.parametrize("target", [Target.DOCUMENTS, Target.ORIGINALS])
async def test_a_dry_run_looks_at_each_document_a_few_times_however_many_there_are(
    worker_database: Database, me: NewIdentity, owner: Owner, target: Target
) -> None:
    policy = Policy(target=target, days=10)
    went_through = []
    for number in (1, 2):
        await many_documents(owner, me, 3000)
        async with worker_database.transaction(me.tenant_id) as transaction:
            weighed: Any = Weighed(transaction.driver)
            told = await upkeep.expected(weighed, policy)
            assert (told.rows, told.bytes, len(told.sample)) == (3000 * number, 30000 * number, upkeep.SAMPLE)
            assert await upkeep.count(weighed, policy) == told.rows
        went_through.append(weighed.rows)
    assert went_through[1] < 2.5 * went_through[0]
    assert went_through[1] < 6000 * 20
