"""Jobs of a kind that asks for more than others do: who sees them, who steers them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.permissions import KINDS, Role
from arqueduct.settings import Settings
from arqueduct.webhooks.kinds import DELIVER, is_ours
from tests.integration.backend import client_of, problem
from tests.integration.live_server import serving, snapshot
from tests.integration.many_jobs import Owner, insert_many, owning, states
from tests.integration.people import join, lines, with_key

JOBS = "/api/v1/jobs"
SEES = ["jobs:read", "jobs:write", "webhooks:read"]
ACTIONS = {"cancel": "queued", "pause": "queued", "resume": "paused", "retry": "failed"}
"""What may be asked of one job, and in which state."""


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@asynccontextmanager
async def member(
    app: FastAPI, owner: Owner, me: NewIdentity, role: str, scopes: Sequence[str] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, await join(owner, me.tenant_id, role, scopes=scopes)) as client:
        yield client


async def delivery(owner: Owner, me: NewIdentity, state: str = "failed") -> str:
    """A job that tells a receiver something, with what went wrong."""
    (job_id,) = await insert_many(owner, me, state, kind=DELIVER)
    await owner.execute(
        "INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version, ended_at, outcome, message) "
        "VALUES ($1, 1, $2, 'vm:1:2', '0', now(), 'failed', 'receiver.example.org did not answer')",
        job_id,
        me.tenant_id,
    )
    return job_id


async def test_only_who_may_read_webhooks_sees_jobs_that_deliver_them(
    app: FastAPI, owner: Owner, me: NewIdentity, subtests: pytest.Subtests
) -> None:
    job_id = await delivery(owner, me)
    members = [(Role.EDITOR, ()), (Role.VIEWER, ()), (Role.SERVICE, ()), (Role.OWNER, ["jobs:read", "jobs:write"])]
    for role, scopes in members:
        with subtests.test(role=role, scopes=scopes):
            async with member(app, owner, me, role, scopes) as api:
                for path in ("", "/events", "/attempts"):
                    problem(await api.get(f"{JOBS}/{job_id}{path}"), 404, "not_found")
                assert (await api.get(JOBS)).json()["items"] == []
                refused = problem(await api.get(JOBS, params={"kind": DELIVER}), 403, "forbidden")
                assert "webhooks:read" in refused["detail"]
    for role, scopes in ((Role.OWNER, ()), (Role.ADMIN, ()), (Role.OWNER, SEES)):
        with subtests.test(role=role, scopes=scopes):
            async with member(app, owner, me, role, scopes) as api:
                for path in ("", "/events", "/attempts"):
                    assert (await api.get(f"{JOBS}/{job_id}{path}")).status_code == 200
                listed = await api.get(JOBS, params={"kind": DELIVER})
                assert [job["id"] for job in listed.json()["items"]] == [job_id]


@pytest.mark.parametrize("action", list(ACTIONS))
async def test_only_who_may_write_webhooks_steers_one(app: FastAPI, owner: Owner, me: NewIdentity, action: str) -> None:
    job_id = await delivery(owner, me, ACTIONS[action])
    async with member(app, owner, me, "editor") as api:
        problem(await api.post(f"{JOBS}/{job_id}/{action}"), 404, "not_found")
    async with member(app, owner, me, "owner", SEES) as api:
        refused = problem(await api.post(f"{JOBS}/{job_id}/{action}"), 403, "forbidden")
        assert "webhooks:write" in refused["detail"]
    assert await states(owner, [job_id]) == {ACTIONS[action]: 1}
    async with member(app, owner, me, "admin") as api:
        assert (await api.post(f"{JOBS}/{job_id}/{action}")).status_code in (200, 202)
    assert await states(owner, [job_id]) != {ACTIONS[action]: 1}


@pytest.mark.parametrize("action", list(ACTIONS))
async def test_only_who_may_write_webhooks_steers_many(
    app: FastAPI, owner: Owner, me: NewIdentity, action: str
) -> None:
    """Kinds that are named are refused. Where jobs are named otherwise, these are passed over like those of others."""
    job_id = await delivery(owner, me, ACTIONS[action])
    others = await insert_many(owner, me, ACTIONS[action], 2)
    for role, scopes in (("editor", ()), ("owner", SEES)):
        async with member(app, owner, me, role, scopes) as api:
            named = await api.post(f"{JOBS}/{action}", json={"kinds": ["document.ingest", DELIVER]})
            assert "webhooks:" in problem(named, 403, "forbidden")["detail"]
            selections: list[dict[str, Any]] = [{"ids": [job_id]}, {"user_id": str(me.user_id), "ids": [job_id]}]
            for selection in selections:
                assert (await api.post(f"{JOBS}/{action}", json=selection)).json() == {
                    "changed": 0,
                    "asked": 0,
                    "remaining": 0,
                }
    assert await states(owner, [job_id, *others]) == {ACTIONS[action]: 3}
    async with member(app, owner, me, "editor") as api:
        answer = await api.post(f"{JOBS}/{action}", json={"ids": [job_id, *others]})
        assert (answer.json()["changed"], answer.json()["remaining"]) == (2, 0)
    assert await states(owner, [job_id]) == {ACTIONS[action]: 1}
    async with member(app, owner, me, "admin") as api:
        answer = await api.post(f"{JOBS}/{action}", json={"kinds": [DELIVER]})
        assert (answer.json()["changed"], answer.json()["remaining"]) == (1, 0)
    assert (f"{action}_jobs", "denied", "forbidden") in await lines(owner, me.tenant_id)


@pytest.mark.parametrize(("role", "is_shown"), [("owner", True), ("admin", True), ("editor", False), ("viewer", False)])
async def test_names_of_workers_are_for_who_may_inspect(
    app: FastAPI, owner: Owner, me: NewIdentity, role: str, is_shown: bool
) -> None:
    (job_id,) = await insert_many(owner, me, "failed")
    await owner.execute(
        "INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version) VALUES ($1, 1, $2, 'vm:1:2', '0')",
        job_id,
        me.tenant_id,
    )
    async with member(app, owner, me, role) as api:
        (attempt,) = (await api.get(f"{JOBS}/{job_id}/attempts")).json()["items"]
        assert attempt["worker"] == ("vm:1:2" if is_shown else None)
    limited = await with_key(owner, me, ["jobs:read"])
    async with client_of(app, limited) as api:
        (attempt,) = (await api.get(f"{JOBS}/{job_id}/attempts")).json()["items"]
        assert attempt["worker"] is None


async def test_no_live_connection_tells_of_them(settings: Settings, owner: Owner, me: NewIdentity) -> None:
    """Not even to an owner: what is told of jobs to a user, every key of his hears."""
    assert all(map(is_ours, KINDS)), "`Dispatcher`, `Runner` and `repositories.live` tell of this kind: have them ask"
    await delivery(owner, me, "queued")
    await delivery(owner, me, "failed")
    async with serving(settings) as server, server.socket(me) as client:
        assert await snapshot(client) == []
