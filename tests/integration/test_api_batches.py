"""Batches over HTTP: the same job for many documents, named or found."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import beat, client_of, problem, serving, upload
from tests.integration.family import assert_counted, some_documents
from tests.integration.many_jobs import is_waited_for, owning
from tests.integration.test_api_projects import fold
from tests.integration.worker import TestWorker, until


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lease that outlasts a busy machine: what is lost and comes back is told elsewhere."""
    return settings.model_copy(update={"lease": 60.0})


async def batch(api: httpx.AsyncClient, **asked: Any) -> Any:
    answer = await api.post("/api/v1/batches", json=asked)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def run_children(worker: TestWorker, api: httpx.AsyncClient, batch_id: str) -> None:
    for child in (await api.get(f"/api/v1/batches/{batch_id}/files")).json()["items"]:
        await worker.run(UUID(child["job_id"]))
    await fold(worker)


async def stored(api: httpx.AsyncClient, worker: TestWorker, *texts: bytes) -> list[str]:
    """Documents that were processed; one that cannot be read has failed."""
    found = []
    for text in texts:
        accepted = await upload(api, text, "torn.pdf" if text.startswith(b"%PDF") else "a.txt")
        await worker.run(UUID(accepted["job"]["id"]))
        found.append(accepted["document"]["id"])
    return found


async def test_documents_that_are_named_are_processed_again(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    first, second = await stored(api, api_worker, b"Rain falls.", b"Snow melts.")
    made = await batch(api, document_ids=[first, second, first], name="again")
    assert (made["batch"]["documents"], made["batch"]["action"]) == (2, "document.ingest")
    batch_id = made["batch"]["id"]
    await run_children(api_worker, api, batch_id)
    found = (await api.get(f"/api/v1/batches/{batch_id}")).json()
    assert (found["state"], found["counts"]["completed"]) == ("completed", 2)
    assert found["cost"] == {"tokens": 0, "embedding_requests": 0, "cache_hits": 2}
    listed = (await api.get("/api/v1/batches")).json()["items"]
    assert [(item["id"], item["state"]) for item in listed] == [(batch_id, "completed")]


async def test_documents_are_found_by_what_they_have_in_common(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    await stored(api, api_worker, b"Rain falls.", b"%PDF-1.7 torn")
    made = await batch(api, filter={"statuses": ["failed"], "error_code": "document_corrupt"})
    assert made["batch"]["documents"] == 1
    await run_children(api_worker, api, made["batch"]["id"])
    report = (await api.get(f"/api/v1/batches/{made['batch']['id']}/errors")).json()
    assert report["by_code"] == {"document_corrupt": 1}
    assert (await batch(api, filter={}))["batch"]["documents"] == 2
    problem(
        await api.post("/api/v1/batches", json={"filter": {"content_types": ["text/html"]}}), 409, "nothing_to_process"
    )


async def test_what_is_not_there_makes_no_batch(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    (mine,) = await stored(api, api_worker, b"Rain falls.")
    theirs = (await upload(stranger, b"Hail.", "b.txt"))["document"]["id"]
    for unknown in (theirs, str(uuid4())):
        found = problem(await api.post("/api/v1/batches", json={"document_ids": [mine, unknown]}), 404, "not_found")
        assert unknown in found["detail"]
    problem(await api.post("/api/v1/batches", json={}), 422, "invalid_request")
    problem(await api.post("/api/v1/batches", json={"document_ids": []}), 422, "invalid_request")
    assert (await api.get("/api/v1/batches")).json()["items"] == []


async def test_before_any_worker_has_told_its_pipelines_nobody_knows_them(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    (mine,) = await stored(api, api_worker, b"Rain falls.")
    problem(
        await api.post("/api/v1/batches", json={"document_ids": [mine], "action": "document.simulate"}),
        409,
        "no_worker_yet",
    )


@pytest.mark.parametrize("action", ["retention.apply", "webhook.deliver", "document.unheard_of"])
async def test_no_other_kind_of_job_is_begun_as_a_batch(
    api: httpx.AsyncClient, api_worker: TestWorker, action: str
) -> None:
    (mine,) = await stored(api, api_worker, b"Rain falls.")
    await beat(api_worker)
    asked = {"document_ids": [mine], "action": action}
    assert action in problem(await api.post("/api/v1/batches", json=asked), 422, "action_unknown")["detail"]
    assert (await batch(api, **asked | {"action": "document.simulate"}))["batch"]["documents"] == 1


async def test_more_documents_than_may_be_are_refused(
    settings: Settings, me: NewIdentity, app_database: Database
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        await some_documents(transaction.driver, me, 3)
    async with serving(settings.model_copy(update={"max_family": 2})) as app, client_of(app, me) as api:
        found = problem(await api.post("/api/v1/batches", json={"filter": {}}), 422, "too_many_documents")
    assert found["limit"] == 2


async def test_a_batch_is_steered_as_one(
    api: httpx.AsyncClient, app_database: Database, me: NewIdentity, stranger: httpx.AsyncClient
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        await some_documents(transaction.driver, me, 3)
    batch_id = (await batch(api, filter={}))["batch"]["id"]
    problem(await stranger.post(f"/api/v1/batches/{batch_id}/cancel"), 404, "not_found")
    for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry", "queued")):
        answer = await api.post(f"/api/v1/batches/{batch_id}/{action}")
        assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
        await assert_counted(app_database, me, UUID(batch_id))
    child = (await api.get(f"/api/v1/batches/{batch_id}/files")).json()["items"][0]
    problem(await api.get(f"/api/v1/batches/{child['job_id']}"), 404, "not_found")


async def test_many_children_are_cancelled_by_their_parent(
    api: httpx.AsyncClient, app_database: Database, me: NewIdentity
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        await some_documents(transaction.driver, me, 1200)
    batch_id = (await batch(api, filter={}))["batch"]["id"]
    answer = await api.post("/api/v1/jobs/cancel", json={"parent_id": batch_id})
    assert answer.json()["changed"] == 1200
    assert (await api.get(f"/api/v1/batches/{batch_id}")).json()["counts"]["cancelled"] == 1200


async def test_a_parent_is_left_alone_where_many_jobs_are_meant(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    (mine,) = await stored(api, api_worker, b"%PDF-1.7 torn")
    made = await batch(api, document_ids=[mine])
    await run_children(api_worker, api, made["batch"]["id"])
    assert (await api.get(f"/api/v1/jobs/{made['job']['id']}")).json()["state"] == "failed"
    answer = await api.post("/api/v1/jobs/retry", json={"states": ["failed"], "kinds": ["batch.run"]})
    assert answer.json() == {"changed": 0, "asked": 0, "remaining": 0}


async def test_a_batch_tells_its_progress(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    first, second = await stored(api, api_worker, b"Rain falls.", b"Snow melts.")
    made = await batch(api, document_ids=[first, second])
    batch_id = made["batch"]["id"]
    children = (await api.get(f"/api/v1/batches/{batch_id}/files")).json()["items"]
    await api_worker.run(UUID(children[0]["job_id"]))
    await fold(api_worker)
    await api_worker.run(UUID(children[1]["job_id"]))
    await fold(api_worker)

    async def is_told() -> bool:
        return any(str(message.job_id) == batch_id and message.state == "completed" for message in api_worker.heard)

    await until(is_told)
    told = [message for message in api_worker.heard if str(message.job_id) == batch_id]
    assert [message.type for message in told] == ["job_queued", "batch_progress", "job_completed"]
    assert [message.details["completed"] for message in told] == [0, 1, 2]
    assert told[1].details["total"] == 2
    assert {str(message.parent_id) for message in api_worker.heard if message.document_id == UUID(first)} >= {batch_id}


async def test_what_is_being_processed_is_not_processed_once_more(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    (ready,) = await stored(api, api_worker, b"Rain falls.")
    waiting = (await upload(api, b"Snow melts.", "b.txt"))["document"]["id"]
    found = problem(await api.post("/api/v1/batches", json={"document_ids": [ready, waiting]}), 409, "document_busy")
    assert waiting in found["detail"]
    assert ready not in found["detail"]
    made = await batch(api, filter={})
    files = (await api.get(f"/api/v1/batches/{made['batch']['id']}/files")).json()["items"]
    assert [file["document_id"] for file in files] == [ready]
    problem(await api.post("/api/v1/batches", json={"filter": {}}), 409, "nothing_to_process")


async def test_a_document_that_two_batches_name_at_once_is_in_one(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    (ready,) = await stored(api, api_worker, b"Rain falls.")
    async with owning(settings) as owner:
        async with owner.transaction():
            await owner.execute("SELECT FROM documents FOR NO KEY UPDATE")
            asked = [asyncio.create_task(api.post("/api/v1/batches", json={"document_ids": [ready]})) for _ in range(2)]
            await until(partial(is_waited_for, settings, 2))
        answers = sorted(answer.status_code for answer in await asyncio.gather(*asked))
    assert answers == [202, 409]


async def test_a_choice_of_what_failed_is_tried_again(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    await stored(api, api_worker, b"%PDF-1.7 torn", b"%PDF-1.7 worn")
    batch_id = (await batch(api, filter={}))["batch"]["id"]
    await run_children(api_worker, api, batch_id)
    first, _ = (await api.get(f"/api/v1/batches/{batch_id}")).json()["failed"]
    for choice, queued in (({"error_code": "nothing_like_it"}, 0), ({"job_ids": [first["job_id"]]}, 1)):
        answer = await api.post(f"/api/v1/batches/{batch_id}/retry", json=choice)
        assert (answer.status_code, answer.json()["counts"]["queued"]) == (200, queued), answer.text
