"""Projects over HTTP: made whole or not at all, counted to the last file, steered as one."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.repositories import jobs, parents
from arqueduct.settings import Settings
from arqueduct_backend import cursors
from arqueduct_worker.families import Families
from tests.integration.backend import beat, problem
from tests.integration.completing import complete
from tests.integration.family import assert_counted, children_of
from tests.integration.many_jobs import is_waited_for, owning
from tests.integration.worker import TestWorker, until

GOOD, BAD = b"# Water\n\nIt flows downhill, and never up.\n", b"%PDF-1.7 torn"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lease that outlasts a busy machine: what is lost and comes back is told elsewhere."""
    return settings.model_copy(update={"lease": 60.0})


async def file_set(api: httpx.AsyncClient, *files: tuple[str, bytes], name: str = "a set") -> Any:
    """A set of these files, each taken in."""
    answer = await api.post(
        "/api/v1/file-sets", data={"name": name}, files=[("files", (path, content)) for path, content in files]
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert all(file["accepted"] for file in body["files"]), body
    return body


async def project(api: httpx.AsyncClient, file_set_id: str, **more: Any) -> Any:
    answer = await api.post("/api/v1/projects", json={"name": "a project", "file_set_id": file_set_id, **more})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['job']['id']}"
    return answer.json()


async def status(api: httpx.AsyncClient, project_id: str, **params: Any) -> Any:
    answer = await api.get(f"/api/v1/projects/{project_id}/status", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def run_all(worker: TestWorker, api: httpx.AsyncClient, project_id: str) -> None:
    """Every file that waits, as a worker would, then the fold."""
    await run_unfolded(worker, api, project_id)
    await fold(worker)


async def run_unfolded(worker: TestWorker, api: httpx.AsyncClient, project_id: str) -> None:
    for file in (await status(api, project_id, state="queued", limit=200))["files"]["items"]:
        async with worker.services.database.transaction() as transaction:
            dispatch = await transaction.driver.fetchval(
                "SELECT dispatch FROM jobs WHERE id = $1", UUID(file["job_id"])
            )
        await worker.run(UUID(file["job_id"]), dispatch)


async def fold(worker: TestWorker) -> None:
    families = Families(worker.services)
    families._interval = 0
    await families.see_to()
    await families.fold()


async def three_files(api: httpx.AsyncClient) -> Any:
    return await file_set(api, ("a/one.md", GOOD), ("a/two.pdf", BAD), ("b/three.txt", b"Three tells of rain."))


async def test_a_project_processes_a_set_and_tells_how_it_went(
    api: httpx.AsyncClient, api_worker: TestWorker, app_database: Database, me: NewIdentity
) -> None:
    made = await project(api, (await three_files(api))["id"])
    project_id, job_id = made["project"]["id"], made["job"]["id"]
    assert (made["project"]["state"], made["project"]["files"], made["job"]["children"]) == ("queued", 3, 3)
    found = await status(api, project_id)
    rest = dict.fromkeys(("running", "paused", "completed", "failed", "cancelled"), 0)
    assert found["counts"] == {"total": 3, "queued": 3, **rest}
    assert [file["path"] for file in found["files"]["items"]] == ["a/one.md", "a/two.pdf", "b/three.txt"]
    assert (found["throughput"], found["eta"], found["state"]) == (None, None, "queued")
    await run_all(api_worker, api, project_id)
    found = await status(api, project_id)
    assert (found["state"], found["progress"]) == ("partially_completed", 1)
    assert (found["counts"]["completed"], found["counts"]["failed"]) == (2, 1)
    assert found["errors"] == {"document_corrupt": 1}
    assert [(file["path"], file["error"]["code"]) for file in found["failed"]] == [("a/two.pdf", "document_corrupt")]
    assert {file["path"] for file in found["slowest"]} == {"a/one.md", "b/three.txt"}
    assert found["bytes_done"] == len(GOOD) + len(b"Three tells of rain.")
    assert found["cost"]["embedding_requests"] >= 2
    told = await assert_counted(app_database, me, UUID(job_id))
    assert (told.pages, told.tokens) == (found["pages_done"], found["cost"]["tokens"])
    job = (await api.get(f"/api/v1/jobs/{job_id}")).json()
    assert (job["state"], job["kind"], job["details"]["completed"]) == ("partially_completed", "project.process", 2)
    for file in found["files"]["items"]:
        document = (await api.get(f"/api/v1/documents/{file['document_id']}")).json()
        assert (document["status"], document["job_id"]) == (file["state"], file["job_id"])


async def test_only_what_failed_is_tried_again(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    project_id = (await project(api, (await three_files(api))["id"]))["project"]["id"]
    await run_all(api_worker, api, project_id)
    before = {file["job_id"]: file for file in (await status(api, project_id))["files"]["items"]}
    answer = await api.post(f"/api/v1/projects/{project_id}/retry")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["counts"]["queued"]) == ("running", 1)
    await run_all(api_worker, api, project_id)
    after = {file["job_id"]: file for file in (await status(api, project_id))["files"]["items"]}
    assert {job: after[job]["attempt"] - before[job]["attempt"] for job in before} == {
        job: int(file["state"] == "failed") for job, file in before.items()
    }
    assert (await status(api, project_id))["state"] == "partially_completed"


@pytest.mark.parametrize("way", ["retry", "runs", "archive", "DELETE"])
async def test_what_the_status_shows_as_ended_has_ended_for_all_requests(
    api: httpx.AsyncClient, api_worker: TestWorker, way: str
) -> None:
    project_id = (await project(api, (await three_files(api))["id"]))["project"]["id"]
    await run_unfolded(api_worker, api, project_id)
    assert (await status(api, project_id))["state"] == "partially_completed"
    path = f"/api/v1/projects/{project_id}"
    answer = await api.delete(path) if way == "DELETE" else await api.post(f"{path}/{way}", json={})
    assert answer.is_success, answer.text


async def test_a_choice_of_what_failed_is_tried_again(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    files = await file_set(api, ("one.pdf", BAD), ("two.pdf", BAD + b"!"), ("three.md", GOOD))
    project_id = (await project(api, files["id"]))["project"]["id"]
    await run_all(api_worker, api, project_id)
    first, _ = (await status(api, project_id))["failed"]
    answer = await api.post(f"/api/v1/projects/{project_id}/retry", json={"job_ids": [first["job_id"]]})
    assert answer.json()["counts"]["queued"] == 1
    answer = await api.post(f"/api/v1/projects/{project_id}/retry", json={"error_code": "nothing_like_it"})
    assert answer.json()["counts"]["queued"] == 1


async def test_a_project_is_paused_resumed_and_cancelled_as_one(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    project_id = (await project(api, (await three_files(api))["id"]))["project"]["id"]
    paused = (await api.post(f"/api/v1/projects/{project_id}/pause")).json()
    assert (paused["state"], paused["counts"]["paused"]) == ("paused", 3)
    problem(await api.post(f"/api/v1/projects/{project_id}/pause"), 409, "illegal_transition")
    resumed = (await api.post(f"/api/v1/projects/{project_id}/resume")).json()
    assert (resumed["state"], resumed["counts"]["queued"]) == ("queued", 3)
    cancelled = (await api.post(f"/api/v1/projects/{project_id}/cancel")).json()
    assert (cancelled["state"], cancelled["counts"]["cancelled"]) == ("cancelled", 3)
    problem(await api.post(f"/api/v1/projects/{project_id}/cancel"), 409, "illegal_transition")
    again = (await api.post(f"/api/v1/projects/{project_id}/retry")).json()
    assert (again["state"], again["counts"]["queued"]) == ("queued", 3)


async def test_a_pause_does_not_undo_a_cancel_that_is_under_way(
    api: httpx.AsyncClient, api_worker: TestWorker, app_database: Database, me: NewIdentity
) -> None:
    made = await project(api, (await three_files(api))["id"])
    path, job_id = f"/api/v1/projects/{made['project']['id']}", UUID(made["job"]["id"])
    first, second, _ = [UUID(file["job_id"]) for file in (await status(api, made["project"]["id"]))["files"]["items"]]
    async with api_worker.services.database.transaction() as transaction:
        wake_ups = await transaction.driver.fetch("SELECT id, dispatch FROM jobs WHERE id = ANY ($1)", [first, second])
        lease = timedelta(seconds=60)
        claimed = await jobs.claim(
            transaction.driver, [(row["id"], row["dispatch"]) for row in wake_ups], "test", lease
        )
        done, _ = claimed
        await complete(transaction.driver, done.id, done.fence)
    cancelled = (await api.post(f"{path}/cancel")).json()
    assert (cancelled["state"], cancelled["counts"]["running"], cancelled["counts"]["cancelled"]) == ("running", 1, 1)
    await api.post(f"{path}/pause")
    async with app_database.transaction(me.tenant_id) as transaction:
        row = await parents.now(transaction.driver, job_id)
    assert row is not None
    assert row["asked"] == "cancel"


async def test_the_job_of_a_project_is_steered_as_the_project_is(api: httpx.AsyncClient) -> None:
    made = await project(api, (await three_files(api))["id"])
    answer = await api.post(f"/api/v1/jobs/{made['job']['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert (await status(api, made["project"]["id"]))["counts"]["cancelled"] == 3


async def test_who_stops_on_errors_processes_no_more_after_the_first(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    files = await file_set(api, ("a.pdf", BAD), ("b.md", GOOD), ("c.txt", b"Third."))
    made = await project(api, files["id"], policy={"on_error": "stop_on_error"})
    project_id = made["project"]["id"]
    first = (await status(api, project_id))["files"]["items"][0]
    await api_worker.run(UUID(first["job_id"]))
    await fold(api_worker)
    await fold(api_worker)
    await fold(api_worker)
    found = await status(api, project_id)
    assert (found["state"], found["error"]["code"]) == ("failed", "too_many_failures")
    assert (found["counts"]["failed"], found["counts"]["cancelled"]) == (1, 2)
    assert found["policy"] == {"on_error": "stop_on_error", "threshold": 0}


async def test_a_set_that_is_not_fit_makes_no_project(api: httpx.AsyncClient) -> None:
    empty = (await api.post("/api/v1/file-sets", files=[("name", (None, "empty"))])).json()
    problem(await api.post("/api/v1/projects", json={"name": "a", "file_set_id": empty["id"]}), 409, "file_set_empty")
    files = await three_files(api)
    await project(api, files["id"])
    problem(await api.post("/api/v1/projects", json={"name": "b", "file_set_id": files["id"]}), 409, "file_set_busy")
    problem(
        await api.post("/api/v1/projects", json={"name": "c", "file_set_id": files["id"], "profile": "no such"}),
        404,
        "profile_unknown",
    )
    assert len((await api.get("/api/v1/projects")).json()["items"]) == 1


async def test_a_project_runs_again_under_another_profile(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    files = await file_set(api, ("one.md", GOOD))
    made = await project(api, files["id"])
    project_id = made["project"]["id"]
    problem(await api.post(f"/api/v1/projects/{project_id}/runs", json={}), 409, "project_unfinished")
    await run_all(api_worker, api, project_id)
    answer = await api.post(f"/api/v1/projects/{project_id}/runs", json={"profile": "default"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["job"]["id"] != made["job"]["id"]
    await run_all(api_worker, api, project_id)
    runs = (await api.get(f"/api/v1/projects/{project_id}/runs")).json()["items"]
    assert [(run["number"], run["state"], run["profile_name"]) for run in runs] == [
        (2, "completed", "default"),
        (1, "completed", "default"),
    ]
    chunks = (await api.get(f"/api/v1/documents/{files['files'][0]['document_id']}/chunks")).json()["items"]
    assert [chunk["ordinal"] for chunk in chunks] == list(range(len(chunks)))


async def test_the_error_report_says_what_failed_why_and_what_to_do(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    files = await file_set(api, ("=cmd()/two.pdf", BAD), ("one.md", GOOD), ("three.pdf", BAD + b"!"))
    project_id = (await project(api, files["id"]))["project"]["id"]
    await run_all(api_worker, api, project_id)
    report = (await api.get(f"/api/v1/projects/{project_id}/errors", params={"limit": 1})).json()
    assert report["by_code"] == {"document_corrupt": 2}
    (line,) = report["items"]
    assert (line["path"], line["stage"], line["project_id"]) == ("=cmd()/two.pdf", "extracting", project_id)
    assert line["advice"]
    rest = (
        await api.get(f"/api/v1/projects/{project_id}/errors", params={"limit": 1, "cursor": report["next_cursor"]})
    ).json()
    assert [line["path"] for line in rest["items"]] == ["three.pdf"]
    answer = await api.get(f"/api/v1/projects/{project_id}/errors", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["code"], line["path"]) for line in lines] == [
        ("document_corrupt", "'=cmd()/two.pdf"),
        ("document_corrupt", "three.pdf"),
    ]
    whole = (await api.get("/api/v1/errors", params={"kind": "document.ingest"})).json()
    assert (whole["by_code"], len(whole["items"])) == ({"document_corrupt": 2}, 2)
    assert (await api.get("/api/v1/errors", params={"error_code": "timeout"})).json()["items"] == []


async def test_a_project_is_renamed_listed_and_deleted(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await project(api, (await three_files(api))["id"])
    project_id = made["project"]["id"]
    answer = await api.get(f"/api/v1/projects/{project_id}")
    tag = answer.headers["etag"]
    assert (await api.get(f"/api/v1/projects/{project_id}", headers={"If-None-Match": tag})).status_code == 304
    renamed = await api.patch(f"/api/v1/projects/{project_id}", json={"name": "other"}, headers={"If-Match": tag})
    assert renamed.json()["name"] == "other"
    problem(
        await api.patch(f"/api/v1/projects/{project_id}", json={"name": "third"}, headers={"If-Match": tag}),
        412,
        "precondition_failed",
    )
    problem(await api.delete(f"/api/v1/projects/{project_id}"), 409, "project_unfinished")
    for path in ("", "/status", "/files", "/runs", "/errors"):
        problem(await stranger.get(f"/api/v1/projects/{project_id}{path}"), 404, "not_found")
    problem(await stranger.post(f"/api/v1/projects/{project_id}/cancel"), 404, "not_found")
    await api.post(f"/api/v1/projects/{project_id}/cancel")
    assert (await api.delete(f"/api/v1/projects/{project_id}")).status_code == 204
    assert (await api.get("/api/v1/projects")).json()["items"] == []
    assert (await api.get(f"/api/v1/jobs/{made['job']['id']}")).status_code == 200


async def test_a_deleted_document_leaves_its_project_with_a_child_that_was_cancelled(
    api: httpx.AsyncClient, api_worker: TestWorker, app_database: Database, me: NewIdentity
) -> None:
    files = await three_files(api)
    made = await project(api, files["id"])
    assert (await api.delete(f"/api/v1/documents/{files['files'][0]['document_id']}")).status_code == 204
    await run_all(api_worker, api, made["project"]["id"])
    found = await status(api, made["project"]["id"])
    assert (found["counts"]["cancelled"], found["counts"]["total"], found["state"]) == (1, 3, "partially_completed")
    await assert_counted(app_database, me, UUID(made["job"]["id"]))


@pytest.mark.parametrize("more", [{"policy": {"threshold": 2}}, {"policy": {"on_error": "maybe"}}, {"x": 1}])
async def test_what_cannot_be_meant_is_refused(api: httpx.AsyncClient, more: dict[str, Any]) -> None:
    files = await three_files(api)
    answer = await api.post("/api/v1/projects", json={"name": "a", "file_set_id": files["id"], **more})
    problem(answer, 422, "invalid_request")


async def test_a_repeated_request_makes_one_project(api: httpx.AsyncClient) -> None:
    files = await three_files(api)
    body = {"name": "a", "file_set_id": files["id"]}
    headers = {"Idempotency-Key": "one"}
    first = await api.post("/api/v1/projects", json=body, headers=headers)
    second = await api.post("/api/v1/projects", json=body, headers=headers)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert len((await api.get("/api/v1/projects")).json()["items"]) == 1


async def profile(api: httpx.AsyncClient, worker: TestWorker, name: str, **settings: Any) -> Any:
    await beat(worker)
    answer = await api.post("/api/v1/profiles", json={"name": name, "settings": settings})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_project_keeps_the_version_of_its_profile(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    small = await profile(api, api_worker, "small", options={"chunk": {"size": 200, "overlap": 0}}, priority="bulk")
    text = " ".join(f"Sentence {number} tells of water." for number in range(60)).encode()
    files = await file_set(api, ("long.txt", text))
    made = await project(api, files["id"], profile="small")
    await api.put(
        f"/api/v1/profiles/{small['id']}",
        json={"name": "small", "settings": {"options": {"chunk": {"size": 5000, "overlap": 0}}}},
    )
    await run_all(api_worker, api, made["project"]["id"])
    (run,) = (await api.get(f"/api/v1/projects/{made['project']['id']}/runs")).json()["items"]
    assert (run["profile_name"], run["profile_version"]) == ("small", 1)
    document_id = files["files"][0]["document_id"]
    assert (await api.get(f"/api/v1/documents/{document_id}")).json()["chunks"] >= len(text) // 200
    (child,) = (await api.get("/api/v1/jobs", params={"parent_id": made["job"]["id"]})).json()["items"]
    assert (child["document_id"], child["priority"]) == (document_id, "bulk")


async def test_duplicates_are_left_out_where_the_profile_says_so(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    await profile(api, api_worker, "once", duplicates="skip")
    first = await file_set(api, ("one.md", GOOD))
    await run_all(api_worker, api, (await project(api, first["id"]))["project"]["id"])
    second = await file_set(api, ("copy.md", GOOD), ("other.txt", b"Hail."))
    made = await project(api, second["id"], profile="once")
    assert made["project"]["files"] == 1
    (run,) = (await api.get(f"/api/v1/projects/{made['project']['id']}/runs")).json()["items"]
    assert run["skipped"] == 1
    assert (await project(api, (await file_set(api, ("third.md", GOOD)))["id"]))["project"]["files"] == 1


async def test_a_project_can_pretend_for_a_front_end(api: httpx.AsyncClient, api_worker: TestWorker) -> None:
    steps = [{"label": "thinking", "seconds": 0, "units": 4}]
    failures = [{"code": "document_corrupt", "attempt": 1}]
    described = (await api.get("/api/v1/pipelines")).status_code
    assert described == 409
    await beat(api_worker)
    pipelines = {pipeline["kind"] for pipeline in (await api.get("/api/v1/pipelines")).json()["pipelines"]}
    assert "document.simulate" in pipelines
    await profile(
        api,
        api_worker,
        "pretend",
        pipeline="document.simulate",
        options={"simulate": {"steps": steps, "failures": failures}},
    )
    files = await file_set(api, ("one.md", GOOD), ("two.txt", b"Hail."))
    made = await project(api, files["id"], profile="pretend")
    await run_all(api_worker, api, made["project"]["id"])
    found = await status(api, made["project"]["id"])
    assert (found["state"], found["errors"]) == ("failed", {"document_corrupt": 2})
    assert found["error"]["code"] == "all_failed"
    await api.post(f"/api/v1/projects/{made['project']['id']}/retry")
    await run_all(api_worker, api, made["project"]["id"])
    found = await status(api, made["project"]["id"])
    assert (found["state"], found["counts"]["completed"], found["errors"]) == ("completed", 2, {})


async def test_a_pace_is_told_once_there_is_one(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    made = await project(api, (await three_files(api))["id"])
    await run_all(api_worker, api, made["project"]["id"])
    async with owning(settings) as owner:
        await owner.execute("UPDATE parents SET active_seconds = 1800")
    pace = (await status(api, made["project"]["id"]))["throughput"]
    assert (pace["elapsed_seconds"], pace["documents_per_hour"]) == (1800, 4)
    async with owning(settings) as owner:
        await owner.execute("UPDATE parents SET active_seconds = 0.5")
    assert (await status(api, made["project"]["id"]))["throughput"] is None


async def test_a_pause_is_called_off_before_everybody_has_heard_of_it(
    api: httpx.AsyncClient, app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    made = await project(api, (await three_files(api))["id"])
    first, *_ = await children_of(app_database, me, UUID(made["job"]["id"]))
    async with worker_database.transaction() as transaction:
        await jobs.claim(transaction.driver, [(first, 0)], "test", timedelta(seconds=60))
    assert (await api.post(f"/api/v1/projects/{made['project']['id']}/pause")).json()["state"] == "running"
    answer = await api.post(f"/api/v1/projects/{made['project']['id']}/resume")
    assert answer.json()["counts"] | {"total": 3} == answer.json()["counts"]
    assert (answer.json()["counts"]["running"], answer.json()["counts"]["queued"]) == (1, 2)
    async with worker_database.transaction() as transaction:
        assert await jobs.pause_running(transaction.driver, first, 1) is None


async def test_resuming_children_of_a_paused_project_is_not_undone(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    made = await project(api, (await three_files(api))["id"])
    path = f"/api/v1/projects/{made['project']['id']}"
    await api.post(f"{path}/pause")
    first, *_ = (await status(api, made["project"]["id"]))["files"]["items"]
    assert (await api.post(f"/api/v1/jobs/{first['job_id']}/resume")).status_code == 202
    await fold(api_worker)
    counts = (await status(api, made["project"]["id"]))["counts"]
    assert (counts["queued"], counts["paused"]) == (1, 2)
    resumed = await api.post(f"{path}/resume")
    assert (resumed.status_code, resumed.json()["counts"]["queued"]) == (200, 3)


async def test_two_sets_that_share_documents_are_not_started_at_once(
    api: httpx.AsyncClient, settings: Settings
) -> None:
    files = await three_files(api)
    other = await file_set(api, ("own.txt", b"Its own."))
    shared = [file["document_id"] for file in files["files"]]
    answer = await api.post(f"/api/v1/file-sets/{other['id']}/documents", json={"document_ids": shared})
    assert answer.status_code < 300, answer.text
    async with owning(settings) as owner:
        async with owner.transaction():
            await owner.execute("SELECT FROM documents FOR NO KEY UPDATE")
            asked = [
                asyncio.create_task(api.post("/api/v1/projects", json={"name": "both", "file_set_id": one["id"]}))
                for one in (files, other)
            ]
            await until(partial(is_waited_for, settings, 2))
        answers = sorted(await asyncio.gather(*asked), key=lambda answer: answer.status_code)
    assert answers[0].status_code == 202
    problem(answers[1], 409, "file_set_busy")


async def test_the_errors_of_a_tenant_come_the_last_first_and_not_from_ever(
    api: httpx.AsyncClient, api_worker: TestWorker, settings: Settings
) -> None:
    files = await file_set(api, ("one.pdf", BAD), ("two.pdf", BAD + b"!"), ("three.pdf", BAD + b"?"))
    made = await project(api, files["id"])
    await run_all(api_worker, api, made["project"]["id"])
    old, *others = (file["job_id"] for file in (await status(api, made["project"]["id"]))["files"]["items"])
    async with owning(settings) as owner:
        await owner.execute("UPDATE jobs SET finished_at = now() - interval '31 days' WHERE id = $1", UUID(old))
    first = (await api.get("/api/v1/errors", params={"limit": 1})).json()
    second = (await api.get("/api/v1/errors", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert {first["items"][0]["job_id"], second["items"][0]["job_id"]} == set(others)
    assert first["items"][0]["failed_at"] >= second["items"][0]["failed_at"]
    assert (first["by_code"], second["by_code"], second["next_cursor"]) == ({"document_corrupt": 2}, None, None)
    whole = (await api.get("/api/v1/errors", params={"after": "2020-01-01T00:00:00Z"})).json()
    assert (whole["items"][-1]["job_id"], whole["by_code"]) == (old, {"document_corrupt": 3})
    before = datetime.now(UTC) - timedelta(days=30)
    then = (await api.get("/api/v1/errors", params={"before": before.isoformat()})).json()
    assert ([item["job_id"] for item in then["items"]], then["by_code"]) == ([old], {"document_corrupt": 1})
    for wrong in ("x", cursors.of("failures", UUID(old)), cursors.of("errors", UUID(old))):
        problem(await api.get("/api/v1/errors", params={"cursor": wrong}), 422, "invalid_cursor")
    assert (await api.get("/api/v1/errors", params={"before": "0001-01-01T00:00:00Z"})).json()["items"] == []
