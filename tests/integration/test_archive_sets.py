"""Sets and projects are put away and come back as a whole; and bytes that are away come back with any upload."""

import asyncio
from typing import Any
from uuid import UUID

import httpx

from arqueduct.settings import Settings
from tests.integration.backend import ingest, problem, stored_files, upload
from tests.integration.file_sets import SETS, accepted, codes, make, parts
from tests.integration.test_api_batches import run_children
from tests.integration.test_api_projects import file_set, fold, profile, project
from tests.integration.worker import TestWorker

RHINE = ("rhine.md", b"# The Rhine\n\n" + b"It flows north.\n\n" * 40)
NILE = ("nile.txt", b"The Nile flows north too. " * 40)


async def moved(api: httpx.AsyncClient, worker: TestWorker, address: str, asked: Any = None) -> Any:
    """The batch, when a worker has run it."""
    answer = await api.post(address, json=asked)
    assert answer.status_code == 202, answer.text
    batch: Any = answer.json()["batch"]
    for child in (await api.get(f"/api/v1/batches/{batch['id']}/files")).json()["items"]:
        await worker.run(UUID(child["job_id"]))
    await fold(worker)
    return (await api.get(f"/api/v1/batches/{batch['id']}")).json()


async def originals_in(settings: Settings) -> list[str]:
    return [file.split("/")[1] for file in await stored_files(settings) if "/original" in file]


async def archived(api: httpx.AsyncClient) -> set[str]:
    found = await api.get("/api/v1/documents", params={"archived": True})
    return {document["id"] for document in found.json()["items"]}


async def project_of(api: httpx.AsyncClient, worker: TestWorker, file_set_id: str) -> str:
    """One that has run."""
    made = (await api.post("/api/v1/projects", json={"name": "Rivers", "file_set_id": file_set_id})).json()["project"]
    for child in (await api.get(f"/api/v1/projects/{made['id']}/files")).json()["items"]:
        await worker.run(UUID(child["job_id"]))
    await fold(worker)
    return str(made["id"])


async def test_a_set_goes_with_its_documents_and_comes_back(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    made = await make(api, RHINE, NILE)
    ended = await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    assert (ended["state"], ended["counts"]["completed"]) == ("completed", 2)
    assert (await api.get(f"{SETS}/{made['id']}")).json()["archived_at"]
    assert await archived(api) == set(accepted(made))
    assert await originals_in(settings) == ["cold", "cold"]
    ended = await moved(api, api_worker, f"{SETS}/{made['id']}/restore")
    assert (ended["state"], ended["counts"]["completed"]) == ("completed", 2)
    assert (await api.get(f"{SETS}/{made['id']}")).json()["archived_at"] is None
    assert await archived(api) == set()
    for document_id, (_, content) in zip(accepted(made), (RHINE, NILE), strict=True):
        assert (await api.get(f"/api/v1/documents/{document_id}/content")).content == content


async def test_documents_of_an_archived_set_are_away_before_any_job_ran(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE)
    assert (await api.post(f"{SETS}/{made['id']}/archive")).json()["batch"]["documents"] == 1
    assert await archived(api) == set(accepted(made))
    problem(await api.post(f"{SETS}/{made['id']}/restore"), 409, "file_set_busy")


async def test_a_batch_puts_away_at_once_what_no_job_is_at(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    done = (await ingest(api, api_worker, *reversed(RHINE)))["id"]
    busy = (await upload(api, *reversed(NILE)))["document"]["id"]

    async def asked(way: str, **chosen: Any) -> httpx.Response:
        return await api.post("/api/v1/batches", json={"action": f"document.{way}", **chosen})

    told = problem(await asked("archive", document_ids=[done, busy]), 409, "document_busy")
    assert busy in told["detail"]
    assert done not in told["detail"]
    made = (await asked("archive", filter={})).json()["batch"]
    assert (made["documents"], await archived(api)) == (1, {done})
    problem(await asked("archive", document_ids=[done]), 409, "nothing_to_process")
    problem(await asked("restore", document_ids=[done]), 409, "document_busy")
    problem(await asked("restore", filter={}), 409, "nothing_to_process")
    await run_children(api_worker, api, made["id"])
    restored = (await asked("restore", document_ids=[done])).json()["batch"]
    await run_children(api_worker, api, restored["id"])
    assert await archived(api) == set()


async def test_an_archived_set_takes_nothing_and_starts_nothing(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made, other = await make(api, RHINE), await make(api, NILE)
    await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    problem(await api.post(f"{SETS}/{made['id']}/files", files=parts([NILE])), 409, "file_set_archived")
    named = {"document_ids": accepted(other)}
    problem(await api.post(f"{SETS}/{made['id']}/documents", json=named), 409, "file_set_archived")
    asked = {"name": "Rivers", "file_set_id": made["id"]}
    problem(await api.post("/api/v1/projects", json=asked), 409, "file_set_archived")


async def test_a_set_whose_files_are_all_archived_starts_nothing(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    made = await make(api, RHINE, NILE)
    project_id = await project_of(api, api_worker, made["id"])
    rhine, nile = accepted(made)
    await moved(api, api_worker, "/api/v1/batches", {"action": "document.archive", "document_ids": [rhine, nile]})
    asked = {"name": "Rivers", "file_set_id": made["id"]}
    for address, body in (("/api/v1/projects", asked), (f"/api/v1/projects/{project_id}/runs", {})):
        assert "archived" in problem(await api.post(address, json=body), 409, "nothing_to_process")["detail"]
    assert len((await api.get("/api/v1/projects")).json()["items"]) == 1
    await moved(api, api_worker, "/api/v1/batches", {"action": "document.restore", "document_ids": [nile]})
    assert (await api.post("/api/v1/projects", json=asked)).json()["project"]["files"] == 1


async def test_a_project_whose_set_was_deleted_says_what_to_do(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await make(api, RHINE)
    project_id = await project_of(api, api_worker, made["id"])
    await api.delete(f"{SETS}/{made['id']}")
    found = problem(await api.post(f"/api/v1/projects/{project_id}/runs", json={}), 409, "file_set_deleted")
    assert "new set" in found["advice"]


async def test_a_document_in_another_set_stays(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made, other = await make(api, RHINE, NILE), await make(api, name="Of the north")
    rhine, nile = accepted(made)
    await api.post(f"{SETS}/{other['id']}/documents", json={"document_ids": [rhine]})
    await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    assert await archived(api) == {nile}
    await moved(api, api_worker, f"{SETS}/{other['id']}/archive")
    assert await archived(api) == {rhine, nile}


async def test_an_empty_set_is_put_away_too(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await make(api)
    ended = await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    assert (ended["state"], ended["counts"]["total"]) == ("completed", 0)
    again = await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    assert again["state"] == "completed"


async def test_a_project_goes_with_its_set(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await make(api, RHINE)
    project_id = await project_of(api, api_worker, made["id"])
    ended = await moved(api, api_worker, f"/api/v1/projects/{project_id}/archive")
    assert ended["counts"]["completed"] == 1
    assert (await api.get(f"{SETS}/{made['id']}")).json()["archived_at"]
    assert (await api.get(f"/api/v1/projects/{project_id}")).json()["archived_at"]
    problem(await api.post(f"/api/v1/projects/{project_id}/runs", json={}), 409, "project_archived")
    await moved(api, api_worker, f"/api/v1/projects/{project_id}/restore")
    assert (await api.get(f"{SETS}/{made['id']}")).json()["archived_at"] is None
    assert (await api.post(f"/api/v1/projects/{project_id}/runs", json={})).status_code == 202
    problem(await api.post(f"/api/v1/projects/{project_id}/archive"), 409, "project_unfinished")


async def test_a_set_that_another_project_uses_stays(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await make(api, RHINE)
    first, second = [await project_of(api, api_worker, made["id"]) for _ in range(2)]
    ended = await moved(api, api_worker, f"/api/v1/projects/{first}/archive")
    assert ended["counts"]["total"] == 0
    assert (await api.get(f"{SETS}/{made['id']}")).json()["archived_at"] is None
    await moved(api, api_worker, f"/api/v1/projects/{second}/archive")
    assert await archived(api) == set(accepted(made))


async def test_batches_of_archiving_and_restoring_find_the_documents_they_are_for(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    rhine, nile = accepted(await make(api, RHINE, NILE))

    async def batch(action: str, **asked: Any) -> httpx.Response:
        return await api.post("/api/v1/batches", json={"action": action, **asked})

    async def run(answer: httpx.Response) -> int:
        assert answer.status_code == 202, answer.text
        made = answer.json()["batch"]
        for child in (await api.get(f"/api/v1/batches/{made['id']}/files")).json()["items"]:
            await api_worker.run(UUID(child["job_id"]))
        await fold(api_worker)
        return int(made["documents"])

    problem(await batch("document.restore", filter={}), 409, "nothing_to_process")
    assert await run(await batch("document.archive", document_ids=[rhine])) == 1
    assert await archived(api) == {rhine}
    problem(await batch("document.ingest", document_ids=[rhine, nile]), 409, "document_archived")
    problem(await batch("document.ingest", filter={"archived": True}), 409, "nothing_to_process")
    assert await run(await batch("document.ingest", filter={})) == 1
    assert await run(await batch("document.archive", document_ids=[rhine, nile])) == 1
    assert await run(await batch("document.restore", filter={"archived": True})) == 2
    assert await archived(api) == set()


async def test_files_whose_bytes_are_cold_are_hot_again_in_a_new_set(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    first = await make(api, RHINE, NILE)
    await moved(api, api_worker, f"{SETS}/{first['id']}/archive")
    fresh = ("rain.txt", b"Rain falls on both.")
    made = await make(api, RHINE, fresh, NILE, name="Again")
    assert codes(made) == [None, None, None]
    for document_id, (_, content) in zip(accepted(made), (RHINE, fresh, NILE), strict=True):
        assert (await api.get(f"/api/v1/documents/{document_id}/content")).content == content
    assert await archived(api) == set(accepted(first))
    # The cold ones are left to the janitor; of what was put for nothing there is no trace.
    assert sorted(await originals_in(settings)) == ["cold", "cold", "tenants", "tenants", "tenants"]


async def test_two_uploads_of_cold_bytes_at_once_leave_one_file(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    first = await make(api, RHINE, NILE)
    await moved(api, api_worker, f"{SETS}/{first['id']}/archive")
    several = await asyncio.gather(*(make(api, *files, name="Again") for files in ((RHINE, NILE), (NILE, RHINE))))
    for made, files in zip(several, ((RHINE, NILE), (NILE, RHINE)), strict=True):
        for document_id, (_, content) in zip(accepted(made), files, strict=True):
            assert (await api.get(f"/api/v1/documents/{document_id}/content")).content == content
    assert sorted(await originals_in(settings)) == ["cold", "cold", "tenants", "tenants"]


async def test_deleting_an_archived_set_with_its_documents_leaves_no_cold_file(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    made = await make(api, RHINE, NILE)
    await moved(api, api_worker, f"{SETS}/{made['id']}/archive")
    assert (await api.delete(f"{SETS}/{made['id']}", params={"documents": True})).status_code == 204
    assert await originals_in(settings) == []


async def test_quotas_hold_for_sets(api: httpx.AsyncClient, settings: Settings) -> None:
    await api.put("/api/v1/quotas/users", json={"documents": 2})
    made = await make(api, RHINE)
    more = parts([NILE, ("rain.txt", b"Rain falls.")])
    problem(await api.post(f"{SETS}/{made['id']}/files", files=more), 403, "quota_exceeded")
    refused = await api.post(SETS, files=[("name", (None, b"More")), *more])
    assert problem(refused, 403, "quota_exceeded")["wanted"] == 2
    assert len(await originals_in(settings)) == 1
    assert (await api.post(f"{SETS}/{made['id']}/files", files=parts([NILE]))).status_code == 200


async def test_quotas_of_jobs_hold_for_projects_and_batches(api: httpx.AsyncClient) -> None:
    made = await make(api, RHINE, NILE)
    await api.put("/api/v1/quotas/users", json={"jobs": 2})
    asked = {"name": "Rivers", "file_set_id": made["id"]}
    assert (await api.post("/api/v1/projects", json=asked)).status_code == 202
    other = await make(api, ("rain.txt", b"Rain falls."))
    problem(await api.post("/api/v1/batches", json={"filter": {}}), 403, "quota_exceeded")
    problem(await api.post("/api/v1/projects", json={**asked, "file_set_id": other["id"]}), 403, "quota_exceeded")


async def test_bytes_that_only_an_archived_document_has_are_no_duplicate(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    await profile(api, api_worker, "once", duplicates="skip")
    away = await make(api, RHINE)
    await project_of(api, api_worker, away["id"])
    await moved(api, api_worker, f"{SETS}/{away['id']}/archive")
    made = await project(api, (await file_set(api, RHINE, NILE))["id"], profile="once")
    assert made["project"]["files"] == 2
