"""Jobs over HTTP: looked at, cancelled, tried again."""

from uuid import UUID

import httpx
import pytest

from arqueduct.errors import DocumentCorrupt
from arqueduct.keys import Keys
from arqueduct.pipeline import Stage, StageContext
from tests.integration.backend import ingest, problem, upload
from tests.integration.worker import TestWorker, until


class Broken(Stage):
    """Cannot read anything."""

    name = "broken"
    label = "breaking"
    weight = 1

    async def run(self, context: StageContext) -> None:
        raise DocumentCorrupt


async def failed_job(api: httpx.AsyncClient, worker: TestWorker) -> str:
    """The id of a job that ended as failed."""
    job_id: str = (await upload(api))["job"]["id"]
    await worker.with_stages(Broken()).run(UUID(job_id))
    return job_id


async def test_a_failed_job_says_why_and_what_to_do(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    job = (await api.get(f"/api/v1/jobs/{await failed_job(api, api_worker)}")).json()
    assert job["state"] == "failed"
    assert job["error"] == {
        "code": "document_corrupt",
        "message": "The file is damaged and cannot be read.",
        "stage": job["error"]["stage"],
        "retryable": False,
        "advice": DocumentCorrupt.advice,
    }
    assert (job["attempt"], job["waiting_for"]) == (1, None)
    assert job["finished_at"] is not None
    document = (await api.get(f"/api/v1/documents/{job['document_id']}")).json()
    assert (document["status"], document["error"]) == ("failed", job["error"])


async def test_the_history_tells_every_stage_in_order(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    document = await ingest(api, api_worker, b"Water flows.", "water.txt")
    url = f"/api/v1/jobs/{document['job_id']}/events"
    events = (await api.get(url)).json()["items"]
    assert [event["stage"] for event in events if event["type"] == "job_progress"] == [
        "downloading",
        "extracting",
        "chunking",
        "embedding",
        "storing",
    ]
    assert (events[0]["type"], events[-1]["type"]) == ("job_queued", "job_completed")
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))
    assert set(events[0]) == {
        "seq",
        "type",
        "state",
        "stage",
        "progress",
        "message",
        "details",
        "error",
        "attempt",
        "timestamp",
    }
    paged, cursor = [], None
    while True:
        page = (await api.get(url, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        paged += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert paged == events


async def test_the_list_is_filtered(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    failed = await failed_job(api, api_worker)
    waiting = (await upload(api, b"another one", "other.txt"))["job"]

    async def ids(**filters: str) -> list[str]:
        return [job["id"] for job in (await api.get("/api/v1/jobs", params=filters)).json()["items"]]

    assert await ids() == [waiting["id"], failed]
    assert await ids(state="failed") == [failed]
    assert await ids(document_id=waiting["document_id"]) == [waiting["id"]]
    assert await ids(kind="document.ingest", state="queued") == [waiting["id"]]
    assert await ids(kind="report.write") == []


async def test_the_list_goes_on_where_a_page_ended(api: httpx.AsyncClient) -> None:
    ids = [(await upload(api, b"%d" % number, "n.txt"))["job"]["id"] for number in range(3)]
    first = (await api.get("/api/v1/jobs?limit=2")).json()
    second = (await api.get("/api/v1/jobs", params={"cursor": first["next_cursor"]})).json()
    assert [job["id"] for job in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_a_waiting_job_is_cancelled_at_once(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    job = (await upload(api))["job"]
    answer = await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["seq"] > job["seq"]

    async def is_heard() -> bool:
        return any(message.type == "job_cancelled" for message in api_worker.heard)

    await until(is_heard)


async def test_a_running_job_is_asked_to_stop(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    statuses: list[int] = []

    class Patient(Stage):
        """Runs until it is cancelled."""

        name = "wait"
        label = "waiting"
        weight = 1

        async def run(self, context: StageContext) -> None:
            statuses.append((await api.post(f"/api/v1/jobs/{context.subject.job_id}/cancel")).status_code)

            async def is_stopped() -> bool:
                return False

            await until(is_stopped)

    job_id = (await upload(api))["job"]["id"]
    await api_worker.with_stages(Patient()).run(UUID(job_id))
    assert statuses == [202]
    assert (await api.get(f"/api/v1/jobs/{job_id}")).json()["state"] == "cancelled"


async def test_a_failed_job_is_tried_again(
    api: httpx.AsyncClient, api_worker: TestWorker, redis: object, keys: Keys
) -> None:
    job_id = await failed_job(api, api_worker)
    answer = await api.post(f"/api/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["location"] == f"/api/v1/jobs/{job_id}"
    assert answer.json()["error"] is None

    async def is_sent() -> bool:
        return await redis.zscore(keys.queue, f"{job_id}:1") is not None  # type: ignore[attr-defined]  # a client of arq

    await until(is_sent)
    await api_worker.run(UUID(job_id), 1)
    job = (await api.get(f"/api/v1/jobs/{job_id}")).json()
    assert (job["state"], job["attempt"]) == ("completed", 2)


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
async def test_what_a_state_does_not_allow_is_a_conflict(
    api: httpx.AsyncClient, api_worker: TestWorker, action: str
) -> None:
    document = await ingest(api, api_worker, b"Water flows.", "water.txt")
    body = problem(await api.post(f"/api/v1/jobs/{document['job_id']}/{action}"), 409, "illegal_transition")
    assert body["state"] == "completed"
    assert "completed" in body["detail"]


async def test_a_job_without_its_document_cannot_begin_again(api: httpx.AsyncClient) -> None:
    accepted = await upload(api)
    await api.delete(f"/api/v1/documents/{accepted['document']['id']}")
    body = problem(await api.post(f"/api/v1/jobs/{accepted['job']['id']}/retry"), 409, "illegal_transition")
    assert "deleted" in body["detail"]


async def test_a_stranger_finds_no_job(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    job = (await upload(api))["job"]
    for below in ("", "/events", "/attempts"):
        problem(await stranger.get(f"/api/v1/jobs/{job['id']}{below}"), 404, "not_found")
    for action in ("cancel", "pause", "resume", "retry"):
        problem(await stranger.post(f"/api/v1/jobs/{job['id']}/{action}"), 404, "not_found")
    assert (await stranger.get("/api/v1/jobs")).json()["items"] == []
    found = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (found["state"], found["seq"]) == ("queued", job["seq"])
