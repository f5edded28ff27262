"""The queue as a tenant sees it, and which of its own jobs goes first."""

from collections.abc import AsyncIterator

import httpx
import pytest

from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Priority
from arqueduct.settings import Settings
from tests.integration.backend import beat, client_of, problem, serving, upload
from tests.integration.many_jobs import Owner, insert_many, owning, set_rule
from tests.integration.worker import TestWorker, until


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def test_the_queue_counts_what_is_not_finished(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    await set_rule(owner, "all", "*", is_paused=True)
    for state, count in (("queued", 4), ("running", 3), ("paused", 2), ("completed", 5)):
        await insert_many(owner, me, state, count)
    await owner.execute("UPDATE jobs SET run_after = now() - interval '1 minute' WHERE state = 'queued'")
    await beat(api_worker)
    told = (await api.get("/api/v1/queue")).json()
    assert 60 <= told.pop("oldest_due_seconds") < 120
    assert told == {
        "queued": 4,
        "running": 3,
        "paused": 2,
        "unfinished": 9,
        "live_workers": 1,
        "is_paused": True,
        "in_flight": 3,
        "max_running": None,
        "paused_kinds": [],
        "full_kinds": [],
    }
    theirs = (await stranger.get("/api/v1/queue")).json()
    assert (theirs["unfinished"], theirs["in_flight"], theirs["oldest_due_seconds"]) == (0, 0, 0)


@pytest.mark.parametrize(("age", "live"), [(200, 1), (400, 0)], ids=["within a lease", "after it"])
async def test_a_worker_is_live_for_a_lease(
    settings: Settings, me: NewIdentity, owner: Owner, age: int, live: int
) -> None:
    patient = settings.model_copy(update={"lease": 300.0, "heartbeat": 8.0})
    await owner.execute(
        "INSERT INTO workers (id, version, concurrency, beat_at) "
        "VALUES ('a worker', '0', 1, now() - $1::int * interval '1 s')",
        age,
    )
    async with serving(patient) as app, client_of(app, me) as api:
        assert (await api.get("/api/v1/queue")).json()["live_workers"] == live
        assert (await api.get("/readyz")).json()["checks"]["workers"]["ok"] is bool(live)


async def test_rules_that_hold_a_tenant_up_are_told(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    await set_rule(owner, "tenant", me.tenant_id, max_running=2)
    await set_rule(owner, "kind", "report.write", is_paused=True)
    await set_rule(owner, "kind", "mail.send", max_running=1)
    await insert_many(owner, me, "running", 1, kind="mail.send")
    told = (await api.get("/api/v1/queue")).json()
    assert (told["max_running"], told["in_flight"], told["is_paused"]) == (2, 1, False)
    assert (told["paused_kinds"], told["full_kinds"]) == (["report.write"], ["mail.send"])
    assert (await stranger.get("/api/v1/queue")).json()["max_running"] is None


async def test_a_job_says_which_rule_it_waits_for(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    await beat(api_worker)
    await set_rule(owner, "tenant", me.tenant_id, max_running=1)
    await insert_many(owner, me, "running", 1)
    job_id = (await upload(api))["job"]["id"]

    async def waits_for() -> str:
        return str((await api.get(f"/api/v1/jobs/{job_id}")).json()["waiting_for"])

    assert await waits_for() == "tenant limit of 1"
    await owner.execute("UPDATE queue_rules SET max_running = NULL, is_paused = true")
    assert await waits_for() == "the queue is paused"
    await set_rule(owner, "kind", "document.ingest", is_paused=True)
    await owner.execute("DELETE FROM queue_rules WHERE scope = 'tenant'")
    assert await waits_for() == "jobs of this kind are paused"
    await owner.execute("DELETE FROM queue_rules")

    async def is_admitted() -> bool:
        return await waits_for() == "a free worker"

    await until(is_admitted)


async def test_an_upload_says_how_urgent_it_is(api: httpx.AsyncClient, owner: Owner) -> None:
    await set_rule(owner, "all", "*", is_paused=True)
    ids = {}
    for priority in Priority:
        answer = await api.post(
            "/api/v1/documents", params={"priority": priority.name.lower()}, files={"file": ("a.txt", b"Water.")}
        )
        assert answer.json()["job"]["priority"] == priority.name.lower()
        ids[priority] = answer.json()["job"]["id"]
    normal = (await upload(api, b"Wine.", "b.txt"))["job"]
    assert normal["priority"] == "normal"

    async def position(job_id: str) -> int:
        found: int = (await api.get(f"/api/v1/jobs/{job_id}")).json()["position"]
        return found

    in_line = [ids[Priority.INTERACTIVE], ids[Priority.NORMAL], normal["id"], ids[Priority.BULK]]
    assert [await position(job_id) for job_id in in_line] == [0, 1, 2, 3]


async def test_an_urgency_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/documents?priority=at-once", files={"file": ("a.txt", b"Water.")})
    (field,) = problem(answer, 422, "invalid_request")["errors"]
    assert field["parameter"] == "priority"
