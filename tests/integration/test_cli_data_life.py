"""`arqueduct tenants quota`, `documents` and `retention`, over a real connection."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from click.testing import Result

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import ingest, upload
from tests.integration.cli import arqueduct, done, told
from tests.integration.live_server import serving
from tests.integration.test_cli_jobs import Commands
from tests.integration.worker import TestWorker


@pytest.fixture
async def run(settings: Settings, me: NewIdentity) -> AsyncIterator[Commands]:
    async with serving(settings) as server:
        url = server.url("", "http").removesuffix("/api/v1")
        yield Commands(options=("--url", url, "--api-key", me.api_key, "--data-dir", str(settings.data_dir)))


async def test_an_operator_sees_and_sets_what_a_tenant_may_have(settings: Settings, me: NewIdentity) -> None:
    async def quota(*arguments: str) -> Result:
        return await arqueduct("tenants", "quota", str(me.tenant_id), *arguments, settings=settings)

    (shown,) = told(await quota("--documents", "5", "--json"))
    assert shown["documents"] == {"used": 0, "limit": 5}
    (shown,) = told(await quota("--jobs", "7", "--json"))
    assert (shown["documents"]["limit"], shown["jobs"]["limit"], shown["bytes"]["limit"]) == (5, 7, None)
    assert "documents" in done(await quota())
    (shown,) = told(await quota("--unlimited", "--json"))
    assert [one["limit"] for one in shown.values()] == [None] * 3
    nobody = "01890000-0000-7000-8000-000000000000"
    assert (await arqueduct("tenants", "quota", nobody, settings=settings)).exit_code == 1


async def test_documents_are_put_away_and_brought_back(
    run: Commands, api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, b"# Water\n\nIt flows.\n", "water.md")
    for action in ("archive", "restore"):
        ((job,),) = [found["items"] for found in told(await run("documents", action, document["id"], "--json"))]
        assert job["kind"] == f"document.{action}"
        await api_worker.run(UUID(job["id"]))
    assert f"{document['id']}: job" in done(await run("documents", "archive", document["id"]))


async def test_what_one_document_does_not_allow_hinders_no_other(
    run: Commands, api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    first, second = [await ingest(api, api_worker, text, "a.txt") for text in (b"Rain falls.", b"Snow melts.")]
    busy = (await upload(api, b"Hail.", "hail.txt"))["document"]["id"]
    nobody = "01890000-0000-7000-8000-000000000000"
    result = await run("documents", "archive", first["id"], nobody, busy, second["id"])
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == [first["id"], second["id"]]
    assert f"{nobody}: " in result.stderr
    assert f"{busy}: " in result.stderr
    result = await run("documents", "restore", nobody, first["id"], "--json")
    assert (result.exit_code, told(result)) == (1, [])
    assert len(result.stderr.splitlines()) == 2


async def test_retention_is_tried_and_reported(run: Commands, api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    assert "nothing leaves" in done(await run("retention", "show"))
    await api.put("/api/v1/retention", json={"jobs": {"days": 9, "states": ["failed"]}})
    assert "jobs" in done(await run("retention", "show"))
    (job,) = told(await run("retention", "run", "--json"))
    assert "Nothing so far" in done(await run("retention", "report", job["id"]))
    await api_worker.run(UUID(job["id"]))
    (report,) = told(await run("retention", "report", job["id"], "--json"))
    assert report["dry_run"] is True
    assert "jobs" in done(await run("retention", "report", job["id"]))
    assert "is queued" in done(await run("retention", "run", "--for-good"))
