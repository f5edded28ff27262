"""What is tried again, and what is not: an older job beside a newer one, a family that is stopping, a second run of
retention; and who asks for something that cannot be is told."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.repositories import jobs
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem, upload
from tests.integration.family import some_documents
from tests.integration.many_jobs import is_waited_for, owning
from tests.integration.people import join
from tests.integration.test_api_batches import batch, run_children, stored
from tests.integration.test_api_projects import BAD, GOOD, file_set, fold, project, run_all, status, three_files
from tests.integration.test_archive_sets import moved
from tests.integration.worker import TestWorker, until

EARNEST = {"dry_run": False}
"""A run of retention that changes something."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lease that outlasts a busy machine: what is lost and comes back is told elsewhere."""
    return settings.model_copy(update={"lease": 60.0})


async def state_of(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.get(f"/api/v1/jobs/{job_id}")).json()["state"])


async def test_an_older_run_is_not_retried_beside_the_newer_one(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    made = await project(api, (await three_files(api))["id"])
    await run_all(api_worker, api, made["project"]["id"])
    (failed,) = (await status(api, made["project"]["id"]))["failed"]
    again = (await api.post(f"/api/v1/projects/{made['project']['id']}/runs", json={})).json()
    told = problem(await api.post(f"/api/v1/jobs/{made['job']['id']}/retry"), 409, "illegal_transition")
    assert "given a newer job since: 1" in told["detail"]
    told = problem(await api.post(f"/api/v1/jobs/{failed['job_id']}/retry"), 409, "illegal_transition")
    newest = (await api.get(f"/api/v1/documents/{failed['document_id']}")).json()["job_id"]
    assert newest in told["detail"]
    assert (await api.get(f"/api/v1/jobs/{newest}")).json()["parent_id"] == again["job"]["id"]
    assert (await api.post("/api/v1/jobs/retry", json={"all": True})).json()["changed"] == 0
    await run_all(api_worker, api, made["project"]["id"])
    answer = await api.post(f"/api/v1/jobs/{newest}/retry")
    assert answer.status_code == 202, "the newest may be"


async def test_of_an_older_run_those_are_retried_that_no_newer_job_has(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    first, second = await stored(api, api_worker, BAD, BAD + b"!")
    old = (await batch(api, document_ids=[first, second]))["batch"]["id"]
    await run_children(api_worker, api, old)
    await batch(api, document_ids=[first])
    counts = (await api.post(f"/api/v1/batches/{old}/retry")).json()["counts"]
    assert (counts["queued"], counts["failed"]) == (1, 1)
    (queued,) = (await api.get(f"/api/v1/batches/{old}/files", params={"state": "queued"})).json()["items"]
    assert queued["document_id"] == second


async def test_a_cancelled_upload_does_not_come_back_over_a_newer_job(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    accepted = await upload(api, GOOD)
    await api.post(f"/api/v1/jobs/{accepted['job']['id']}/cancel")
    made = await batch(api, document_ids=[accepted["document"]["id"]])
    await run_children(api_worker, api, made["batch"]["id"])
    many = await api.post("/api/v1/jobs/retry", json={"states": ["cancelled"]})
    assert many.json() == {"changed": 0, "asked": 0, "remaining": 0}
    problem(await api.post(f"/api/v1/jobs/{accepted['job']['id']}/retry"), 409, "illegal_transition")


@pytest.mark.parametrize("way", ["/jobs/{job_id}/retry", "/jobs/retry"])
async def test_a_batch_and_a_retry_of_the_same_document_at_once_make_one_job(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings, way: str
) -> None:
    (document,) = await stored(api, api_worker, BAD)
    (job,) = (await api.get("/api/v1/jobs")).json()["items"]
    path = f"/api/v1{way.format(job_id=job['id'])}"
    body = None if job["id"] in path else {"ids": [job["id"]]}
    async with owning(settings) as owner:
        async with owner.transaction():
            await owner.execute("SELECT FROM documents FOR NO KEY UPDATE")
            made = asyncio.create_task(api.post("/api/v1/batches", json={"document_ids": [document]}))
            await until(partial(is_waited_for, settings, 1))
            retried = asyncio.create_task(api.post(path, json=body))
            if body is None:
                await until(partial(is_waited_for, settings, 2))
            else:
                assert (await retried).json() == {"changed": 0, "asked": 0, "remaining": 1}, "it waits for nobody"
        await asyncio.gather(made, retried)
        waiting = await owner.fetch("SELECT id FROM jobs WHERE document_id IS NOT NULL AND state = 'queued'")
    assert len(waiting) == 1


@pytest.mark.parametrize("choice", [{"job_ids": True}, {"error_code": "document_corrupt"}])
async def test_nothing_of_a_family_that_is_stopping_is_retried(
    api: httpx.AsyncClient, api_worker: TestWorker, choice: dict[str, Any]
) -> None:
    made = await project(api, (await three_files(api))["id"])
    project_id = made["project"]["id"]
    files = {file["path"]: file["job_id"] for file in (await status(api, project_id))["files"]["items"]}
    failing, running = files["a/two.pdf"], files["a/one.md"]
    await api_worker.run(UUID(failing))
    async with api_worker.services.database.transaction() as transaction:
        dispatch = await transaction.driver.fetchval("SELECT dispatch FROM jobs WHERE id = $1", UUID(running))
        claims = [(UUID(running), dispatch)]
        (claim,) = await jobs.claim(transaction.driver, claims, "test", timedelta(seconds=60))
    cancelled = (await api.post(f"/api/v1/projects/{project_id}/cancel")).json()
    assert (cancelled["state"], cancelled["counts"]["failed"]) == ("running", 1)
    choice = {"job_ids": [failing]} if "job_ids" in choice else choice
    told = problem(await api.post(f"/api/v1/projects/{project_id}/retry", json=choice), 409, "illegal_transition")
    assert told["advice"] == "Retry once it has ended."
    assert await state_of(api, failing) == "failed"
    async with api_worker.services.database.transaction() as transaction:
        await jobs.cancel_running(transaction.driver, claim.id, claim.fence)
    await fold(api_worker)
    retried = await api.post(f"/api/v1/projects/{project_id}/retry", json=choice)
    assert retried.json()["counts"]["queued"] == 1
    await fold(api_worker)
    assert await state_of(api, failing) == "queued"


async def test_no_second_run_of_retention_comes_by_a_retry(api: httpx.AsyncClient) -> None:
    first = (await api.post("/api/v1/retention/run", json=EARNEST)).json()
    await api.post(f"/api/v1/jobs/{first['id']}/cancel")
    second = (await api.post("/api/v1/retention/run", json=EARNEST)).json()
    problem(await api.post(f"/api/v1/jobs/{first['id']}/retry"), 409, "upkeep_under_way")
    for selection in ({"all": True}, {"ids": [first["id"]]}, {"kinds": ["retention.apply"]}):
        answer = await api.post("/api/v1/jobs/retry", json=selection)
        assert answer.json() == {"changed": 0, "asked": 0, "remaining": 0}, selection
    await api.post(f"/api/v1/jobs/{second['id']}/cancel")
    answers = await asyncio.gather(*(api.post(f"/api/v1/jobs/{job['id']}/retry") for job in (first, second)))
    assert sorted(answer.status_code for answer in answers) == [202, 409]


async def test_retrying_a_run_of_retention_takes_what_beginning_one_does(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, settings: Settings
) -> None:
    run = (await api.post("/api/v1/retention/run", json=EARNEST)).json()
    await api.post(f"/api/v1/jobs/{run['id']}/cancel")
    async with owning(settings) as owner:
        editor = await join(owner, me.tenant_id, "editor")
    async with client_of(app, editor) as editing:
        told = problem(await editing.post(f"/api/v1/jobs/{run['id']}/retry"), 403, "forbidden")
    assert "upkeep:write" in told["detail"]
    assert await state_of(api, run["id"]) == "cancelled"


@pytest.mark.parametrize("action", ["retry", "resume"])
async def test_an_archived_project_is_neither_retried_nor_resumed(
    api: httpx.AsyncClient, api_worker: TestWorker, action: str
) -> None:
    made = await project(api, (await three_files(api))["id"])
    path = f"/api/v1/projects/{made['project']['id']}"
    await run_all(api_worker, api, made["project"]["id"])
    await moved(api, api_worker, f"{path}/archive")
    problem(await api.post(f"{path}/{action}"), 409, "project_archived")
    if action == "retry":
        told = problem(await api.post(f"/api/v1/jobs/{made['job']['id']}/retry"), 409, "illegal_transition")
        assert "archived: 1" in told["detail"]


async def test_who_retries_what_is_gone_is_told(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    files = await three_files(api)
    made = await project(api, files["id"])
    path = f"/api/v1/projects/{made['project']['id']}"
    await run_all(api_worker, api, made["project"]["id"])
    for file in files["files"]:
        await api.delete(f"/api/v1/documents/{file['document_id']}")
    told = problem(await api.post(f"{path}/retry"), 409, "illegal_transition")
    assert "deleted: 1" in told["detail"]


@pytest.mark.parametrize("nothing", [{}, {"job_ids": None}, {"error_code": None}, {"with_cancelled": False}])
async def test_a_choice_that_names_nothing_is_all_that_failed(
    api: httpx.AsyncClient, app_database: Database, me: NewIdentity, nothing: dict[str, Any]
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        await some_documents(transaction.driver, me, 2)
    batch_id = (await batch(api, filter={}))["batch"]["id"]
    await api.post(f"/api/v1/batches/{batch_id}/cancel")
    answer = await api.post(f"/api/v1/batches/{batch_id}/retry", json=nothing)
    assert answer.json()["counts"]["queued"] == 2, "those cancelled too, where all of it was"


async def test_jobs_that_are_named_have_to_be_there(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    files = await file_set(api, ("one.pdf", BAD), ("two.md", GOOD))
    project_id = (await project(api, files["id"]))["project"]["id"]
    await run_all(api_worker, api, project_id)
    done, failed = sorted((await status(api, project_id))["files"]["items"], key=lambda file: str(file["state"]))
    path, other = f"/api/v1/projects/{project_id}/retry", str(uuid4())
    problem(await api.post(path, json={"job_ids": []}), 422, "invalid_request")
    told = problem(await api.post(path, json={"job_ids": [failed["job_id"], other]}), 404, "not_found")
    assert other in told["detail"]
    assert failed["job_id"] not in told["detail"]
    problem(await api.post(path, json={"job_ids": [done["job_id"]]}), 409, "illegal_transition")
    answer = await api.post(path, json={"job_ids": [done["job_id"], failed["job_id"]]})
    assert answer.json()["counts"]["queued"] == 1
