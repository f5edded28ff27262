"""Every route says what it needs, each role gets what the table gives it, and the audit log has what was done."""

from collections.abc import AsyncIterator
from inspect import signature
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from arqueduct import identity
from arqueduct.identity import NewIdentity
from arqueduct.permissions import ROLES, Permission, Role, granted
from arqueduct.settings import Settings
from arqueduct_backend.api import permissions_of
from arqueduct_backend.main import ROUTERS
from tests.integration.backend import client_of, problem, serving, upload

OPEN = {"get_livez", "get_readyz", "get_version", "get_metrics"} | {
    *("login", "refresh", "reset_password", "start_oidc", "finish_oidc", "accept_invitation"),
}
"""Routes for machines that have no key, and for people who are about to prove who they are."""
BY_TICKET = {"stream_events"}
"""Signs in by itself, because pages cannot send a header there."""
ROUTES = {
    route.name: (prefix + route.path, route)
    for prefix, routers in ROUTERS.items()
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute)
}
NEED = {name: permissions_of(route) for name, (_, route) in ROUTES.items()}
CHANGE_NOTHING = {"search_passages", "create_ticket", "validate_profile"}
NOTHING = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with serving(settings) as opened:
        yield opened


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def audit_of(owner: "asyncpg.Connection[asyncpg.Record]", tenant: NewIdentity) -> list[dict[str, Any]]:
    rows = await owner.fetch("SELECT * FROM audit_log WHERE tenant_id = $1 ORDER BY id", tenant.tenant_id)
    return [dict(row) for row in rows]


def test_every_route_says_what_it_needs() -> None:
    assert {name for name, needed in NEED.items() if not needed} == OPEN | BY_TICKET


def test_every_route_that_changes_something_can_write_it_down() -> None:
    """`acting` is what notes it, in the transaction of the change. Signing in is written down by tests of its own."""
    silent = {
        name
        for name, (_, route) in ROUTES.items()
        if not route.methods & {"GET"} and "acting" not in signature(route.endpoint).parameters
    }
    assert silent - OPEN == CHANGE_NOTHING


def test_the_description_tells_the_permission(app: FastAPI) -> None:
    told = {
        operation["operationId"]: operation.get("x-permission", "").split()
        for path in app.openapi()["paths"].values()
        for operation in path.values()
    }
    assert told == NEED


def test_scopes_take_away_and_never_give() -> None:
    assert granted(Role.VIEWER, ["documents:write", "documents:read"]) == {
        Permission.SELF,
        Permission.DOCUMENTS_READ,
    }
    assert granted("emperor") == frozenset()


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_gets_exactly_what_the_table_gives(
    app: FastAPI, me: NewIdentity, owner: "asyncpg.Connection[asyncpg.Record]", role: Role
) -> None:
    await owner.execute("UPDATE memberships SET role = $1 WHERE user_id = $2", role, me.user_id)
    async with client_of(app, me) as api:
        for name, (path, route) in ROUTES.items():
            needed = NEED[name]
            if not needed:
                continue
            (method,) = route.methods
            answer = await api.request(method, path.format_map(Anything()), json={})
            lacking = [permission for permission in needed if permission not in ROLES[role]]
            assert (answer.status_code == 403) == bool(lacking), (name, answer.text)
            if lacking:
                assert lacking[0] in problem(answer, 403, "forbidden")["detail"]


class Anything(dict[str, str]):
    """An id of nothing for every parameter of a path."""

    def __missing__(self, _name: str) -> str:
        return NOTHING


async def test_a_key_may_do_no_more_than_its_scopes(
    app: FastAPI, me: NewIdentity, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute("UPDATE api_keys SET scopes = '{documents:read}' WHERE user_id = $1", me.user_id)
    async with client_of(app, me) as api:
        assert (await api.get("/api/v1/documents")).status_code == 200
        problem(await api.get("/api/v1/jobs"), 403, "forbidden")


async def test_who_may_only_steer_jobs_begins_none(
    app: FastAPI, me: NewIdentity, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute("UPDATE api_keys SET scopes = '{jobs:read,jobs:write}' WHERE user_id = $1", me.user_id)
    async with client_of(app, me) as api:
        for path in ("projects", f"projects/{NOTHING}/runs", "batches"):
            found = problem(await api.post(f"/api/v1/{path}", json={}), 403, "forbidden")
            assert "documents:write" in found["detail"]


async def test_what_is_done_is_written_down_with_it(
    app: FastAPI, me: NewIdentity, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with client_of(app, me) as api:
        accepted = await upload(api)
        document, job = accepted["document"]["id"], accepted["job"]["id"]
        await api.post(f"/api/v1/jobs/{job}/pause")
        await api.post("/api/v1/jobs/resume", json={"ids": [job]})
        await api.delete(f"/api/v1/documents/{document}", headers={"X-Request-ID": "mine"})
    lines = await audit_of(owner, me)
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("create_document", "done"),
        ("pause_job", "done"),
        ("resume_jobs", "done"),
        ("delete_document", "done"),
    ]
    last = lines[-1]
    assert (last["user_id"], last["role"], last["request_id"]) == (me.user_id, "owner", "mine")
    assert last["target"] == f"/api/v1/documents/{document}"
    assert document in last["before"]
    assert last["key_id"]


async def test_what_is_refused_or_fails_is_written_down(
    app: FastAPI, me: NewIdentity, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1", me.user_id)
    async with client_of(app, me) as api:
        problem(await api.delete(f"/api/v1/documents/{NOTHING}"), 403, "forbidden")
        await owner.execute("UPDATE memberships SET role = 'editor' WHERE user_id = $1", me.user_id)
        problem(await api.delete(f"/api/v1/documents/{NOTHING}"), 404, "not_found")
        problem(await api.get(f"/api/v1/documents/{NOTHING}"), 404, "not_found")
    lines = await audit_of(owner, me)
    assert [(line["outcome"], line["code"], line["role"]) for line in lines] == [
        ("denied", "forbidden", "viewer"),
        ("failed", "not_found", "editor"),
    ]


async def test_strangers_are_written_down_without_a_tenant(
    app: FastAPI, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with client_of(app) as api:
        answer = await api.get("/api/v1/documents", headers={"X-API-Key": "aq_wrong", "X-Request-ID": "stranger"})
    problem(answer, 401, "not_authenticated")
    found = await owner.fetchrow("SELECT * FROM audit_log WHERE request_id = 'stranger'")
    assert found
    assert (found["tenant_id"], found["outcome"], found["action"]) == (None, "denied", "list_documents")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET code = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_nobody_who_serves_changes_the_audit_log(app: FastAPI, me: NewIdentity, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app.state.services.database.transaction(me.tenant_id) as transaction:
            await transaction.driver.execute(statement)


async def test_nobody_writes_lines_for_another_tenant(app: FastAPI, me: NewIdentity, settings: Settings) -> None:
    assert settings.database_url is not None
    other = await identity.create(settings.database_url.get_secret_value(), tenant="other", email="other@audit.test")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app.state.services.database.transaction(me.tenant_id) as transaction:
            await transaction.driver.execute(
                "INSERT INTO audit_log (id, tenant_id, action, outcome) VALUES (gen_random_uuid(), $1, 'x', 'done')",
                other.tenant_id,
            )
