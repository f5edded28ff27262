"""Cancel, pause, resume and retry over HTTP: of one job in each state, and of hundreds at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from arqueduct.dispatcher import Dispatcher
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.lifecycle import UNFINISHED, Action, JobState, allowed
from arqueduct.repositories.steering import JobFilter, matching
from arqueduct.settings import Settings
from tests.integration.backend import problem, services_of, upload
from tests.integration.many_jobs import Owner, insert_many, owning, states
from tests.integration.worker import TestWorker, until

NOTHING: list[tuple[str, Any]] = [
    ("a moment as a number", {"created_before": 0}),
    ("nothing", {}),
    ("all that is not meant", {"all": False}),
    ("only null", {"ids": None, "states": None}),
    ("all and something", {"all": True, "states": ["queued"]}),
    ("an unknown field", {"state": "queued"}),
    ("another tenant", {"all": True, "tenant_id": str(uuid4())}),
    ("an unknown state", {"states": ["asleep"]}),
    ("too many ids", {"ids": [str(uuid4())] * 1001}),
    ("something like all", {"all": "yes"}),
    ("a code that is none", {"error_code": "\0"}),
    ("a kind that is none", {"kinds": [""]}),
    ("a time without a zone", {"created_before": "2026-11-01T00:00:00"}),
    ("a time before all", {"created_after": "0001-01-01T00:00:00+14:00"}),
    ("a time after all", {"created_before": "9999-12-31T23:59:59-12:00"}),
    ("no object", []),
]


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def steer(api: httpx.AsyncClient, action: str, **selection: Any) -> tuple[int, int, int]:
    """Changed, asked, remaining."""
    answer = await api.post(f"/api/v1/jobs/{action}", json=selection)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"changed", "asked", "remaining"}
    return body["changed"], body["asked"], body["remaining"]


async def test_each_state_allows_what_its_table_says_and_a_conflict_names_it(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, subtests: pytest.Subtests
) -> None:
    for state in set(JobState) - {JobState.PARTIALLY_COMPLETED}:  # only parents are: see test_api_projects
        for action in Action:
            with subtests.test(f"{action} while {state}"):
                (job_id,) = await insert_many(owner, me, state)
                answer = await api.post(f"/api/v1/jobs/{job_id}/{action}")
                if state in allowed(action):
                    is_under_way = answer.json()["state"] in UNFINISHED - {JobState.PAUSED}
                    assert answer.status_code == (202 if is_under_way else 200), answer.text
                else:
                    body = problem(answer, 409, "illegal_transition")
                    assert body["state"] == state
                    assert f"The job is {state}" in body["detail"]
                    assert await states(owner, [job_id]) == {state: 1}


async def test_hundreds_in_mixed_states_are_cancelled(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    jobs = {state: await insert_many(owner, me, state, 150) for state in ("queued", "paused", "running", "completed")}
    assert await steer(api, "cancel", all=True) == (300, 150, 0)
    assert await states(owner, [*jobs["queued"], *jobs["paused"]]) == {"cancelled": 300}
    assert await states(owner, jobs["running"]) == {"asked": 150}
    assert await states(owner, jobs["completed"]) == {"completed": 150}
    assert await steer(api, "cancel", all=True) == (0, 0, 0)

    async def are_all_heard() -> bool:
        return [message.type for message in api_worker.heard].count("job_cancelled") == 300

    await until(are_all_heard)
    history = await owner.fetchval("SELECT count(*) FROM job_events WHERE type = 'job_cancelled'")
    assert history == 300


async def test_workers_of_running_jobs_are_told_at_once(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, redis: Any, keys: Keys
) -> None:
    running = await insert_many(owner, me, "running", 3)
    async with redis.pubsub() as channel:
        await channel.subscribe(keys.control)
        assert await steer(api, "pause", ids=running) == (0, 3, 0)
        told = ""

        async def are_all_told() -> bool:
            nonlocal told
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=0)
            told += message["data"].decode() if message else ""
            return all(job_id in told for job_id in running)

        await until(are_all_told)
    assert '"action":"pause"' in told


async def test_paused_jobs_wait_until_they_are_resumed(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    uploaded = [(await upload(api, b"%d" % number, "n.txt"))["job"]["id"] for number in range(3)]
    assert await steer(api, "pause", states=["queued"]) == (3, 0, 0)
    assert await states(owner, uploaded) == {"paused": 3}
    assert await steer(api, "resume", ids=uploaded[:2]) == (2, 0, 0)

    async def are_admitted() -> bool:
        rows = await owner.fetch("SELECT id FROM jobs WHERE dispatched_at IS NOT NULL AND dispatch > 0")
        return {str(row["id"]) for row in rows} == set(uploaded[:2])

    await until(are_admitted)


async def test_a_filter_takes_what_fits_every_field(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    document = new_id()
    old = await insert_many(owner, me, "failed", 2, error_code="timeout", age=7200)
    new = await insert_many(owner, me, "failed", 3, error_code="timeout")
    other = await insert_many(owner, me, "failed", 4, error_code="document_corrupt")
    report = await insert_many(owner, me, "queued", 5, kind="report.write")
    mine = await insert_many(owner, me, "queued", 1, document_id=document)
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert await steer(api, "retry", error_code="timeout", created_after=hour_ago) == (3, 0, 0)
    assert await states(owner, new) == {"queued": 3}
    assert await steer(api, "retry", states=["failed"], created_before=hour_ago) == (2, 0, 0)
    assert await steer(api, "cancel", kinds=["report.write"], states=["queued"]) == (5, 0, 0)
    assert await steer(api, "cancel", document_ids=[str(document)]) == (1, 0, 0)
    assert await steer(api, "cancel", user_id=str(new_id())) == (0, 0, 0)
    assert await steer(api, "retry", states=["cancelled"]) == (5, 0, 0), "one document does not exist"
    assert await steer(api, "cancel", ids=[]) == (0, 0, 0)
    assert await steer(api, "cancel", user_id=str(me.user_id)) == (10, 0, 0)
    assert await states(owner, [*old, *new, *report, *mine]) == {"cancelled": 11}
    assert await states(owner, other) == {"failed": 4}


async def test_a_selection_that_selects_nothing_is_refused(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, subtests: pytest.Subtests
) -> None:
    waiting = await insert_many(owner, me, "queued", 3)
    for name, selection in NOTHING:
        with subtests.test(name):
            problem(await api.post("/api/v1/jobs/cancel", json=selection), 422, "invalid_request")
    said = (await api.post("/api/v1/jobs/cancel", json={})).json()["errors"]
    assert said == [{"detail": 'Name at least one field, or say "all": true.', "pointer": "#"}]
    assert await states(owner, waiting) == {"queued": 3}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_the_ends_of_time_are_moments_too(api: httpx.AsyncClient, moment: str) -> None:
    assert await steer(api, "cancel", created_before=moment) == (0, 0, 0)


async def test_a_stranger_changes_nothing_and_sees_nothing(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    mine = [*await insert_many(owner, me, "queued", 5), *await insert_many(owner, me, "running", 5)]
    assert await steer(stranger, "cancel", ids=mine) == (0, 0, 0)
    assert await steer(stranger, "cancel", all=True) == (0, 0, 0)
    assert await steer(stranger, "cancel", user_id=str(me.user_id)) == (0, 0, 0)
    assert await states(owner, mine) == {"queued": 5, "running": 5}


async def test_jobs_that_somebody_holds_do_not_keep_the_others_waiting(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    waiting = await insert_many(owner, me, "queued", 200)
    async with owning(settings) as somebody, somebody.transaction():
        await somebody.execute("SELECT FROM jobs WHERE id = ANY ($1) FOR UPDATE", waiting[:20])
        assert await steer(api, "cancel", all=True) == (180, 0, 20)
    assert await steer(api, "cancel", all=True) == (20, 0, 0)


async def test_jobs_that_were_held_are_tried_again(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.steering.PAUSES", (0.02,) * 500)
    waiting = await insert_many(owner, me, "queued", 50)

    async def are_others_done() -> bool:
        return await states(owner, waiting[20:]) == {"cancelled": 30}

    async with owning(settings) as somebody:
        async with somebody.transaction():
            await somebody.execute("SELECT FROM jobs WHERE id = ANY ($1) FOR UPDATE", waiting[:20])
            asking = asyncio.create_task(steer(api, "cancel", all=True))
            await until(are_others_done)
        assert await asking == (50, 0, 0)


async def test_looking_for_jobs_locks_none(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    waiting = await insert_many(owner, me, "queued", 3)
    async with services_of(app).database.transaction(me.tenant_id) as transaction:
        found = await matching(transaction.driver, Action.CANCEL, JobFilter(), limit=10)
        assert [str(job_id) for job_id in found] == waiting

        async def are_free() -> bool:  # the admitter holds them too, for a moment
            return len(await owner.fetch("SELECT FROM jobs FOR UPDATE SKIP LOCKED")) == 3

        await until(are_free)


async def test_a_request_does_so_much_and_says_what_is_left(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.steering.MOST", 40)
    monkeypatch.setattr("arqueduct_backend.steering.BATCH", 15)
    await insert_many(owner, me, "queued", 50)
    await insert_many(owner, me, "running", 50)
    assert await steer(api, "cancel", states=["queued"]) == (40, 0, 10)
    changed, asked, remaining = await steer(api, "cancel", all=True)
    assert (changed + asked, remaining) == (40, 20)


class FastWorkers(Dispatcher):
    """Jobs fail again before the dispatcher returns."""

    def __init__(self, inner: Dispatcher, owner: Owner) -> None:
        super().__init__(inner._bus, inner._admitter)
        self._owner = owner

    async def dispatch(self, rows: Sequence[asyncpg.Record]) -> None:
        await self._owner.execute(
            "UPDATE jobs SET state = 'failed', finished_at = now() WHERE id = ANY ($1)", [row["id"] for row in rows]
        )


async def test_a_job_that_fails_again_at_once_is_retried_once(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arqueduct_backend.steering.BATCH", 10)
    services = services_of(app)
    app.state.services = replace(services, dispatcher=FastWorkers(services.dispatcher, owner))
    await insert_many(owner, me, "failed", 35)
    assert await steer(api, "retry", states=["failed"]) == (35, 0, 35)
    assert await owner.fetchval("SELECT max(dispatch) FROM jobs") == 1
