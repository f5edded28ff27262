"""`arqueduct tenants`, `users` and `keys`, as an operator types them, beside an API that serves."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity, key_hash
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem
from tests.integration.cli import arqueduct, done, told
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import NOTHING, PASSWORD, join, lines, role_of


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@pytest.fixture
def say(settings: Settings) -> Callable[..., Awaitable[Any]]:
    """A command with --json that must succeed, and what it printed."""

    async def run(*arguments: str) -> Any:
        result = await arqueduct(*arguments, "--json", settings=settings)
        done(result)
        (line,) = told(result)
        return line

    return run


async def fails(settings: Settings, *arguments: str) -> str:
    """The code of the error."""
    result = await arqueduct(*arguments, "--json", settings=settings)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    code: str = json.loads(result.stderr)["error"]["code"]
    return code


Say = Callable[..., Awaitable[Any]]


async def test_a_new_tenant_works_at_once(app: FastAPI, say: Say, settings: Settings, owner: Owner) -> None:
    made = await say("tenants", "create", "Aqua", "--data-dir", str(settings.data_dir))
    assert {"tenant_id", "user_id", "api_key"} <= set(made)
    async with client_of(app) as api:
        api.headers["X-API-Key"] = made["api_key"]
        assert (await api.get("/api/v1/tenant")).json()["name"] == "Aqua"
        (line,) = (await api.get("/api/v1/audit")).json()["items"]
    assert (line["action"], line["user_id"], line["key_id"]) == ("cli tenants create", None, None)
    listed = (await say("tenants", "ls"))["items"]
    assert [(one["id"], one["name"], one["members"]) for one in listed] == [(made["tenant_id"], "Aqua", 1)]
    assert made["tenant_id"] in done(await arqueduct("tenants", "ls", settings=settings))
    assert await fails(settings, "tenants", "create", "B", "--email", made["email"]) == "setup_error"


async def test_a_disabled_user_is_let_in_nowhere_until_he_is_enabled(
    api: httpx.AsyncClient, me: NewIdentity, say: Say, settings: Settings, owner: Owner
) -> None:
    disabled = await say("users", "disable", me.email.upper())
    assert disabled["disabled_at"]
    problem(await api.get("/api/v1/tenant"), 401, "not_authenticated")
    assert (await say("users", "disable", str(me.user_id)))["disabled_at"] == disabled["disabled_at"]
    (listed,) = (await say("users", "ls"))["items"]
    assert (listed["id"], listed["roles"]) == (str(me.user_id), ["owner"])
    assert listed["disabled_at"]
    await say("users", "enable", str(me.user_id))
    assert (await api.get("/api/v1/tenant")).status_code == 200
    assert [action for action, _, _ in await lines(owner, me.tenant_id)][-1] == "cli users enable"
    assert await fails(settings, "users", "disable", "nobody@example.org") == "not_found"


async def test_an_operator_invites_an_owner(
    api: httpx.AsyncClient, me: NewIdentity, say: Say, settings: Settings, owner: Owner
) -> None:
    made = await say("users", "invite", "ada@example.org", "--role", "owner")
    accepted = await api.post("/api/v1/auth/invitations/accept", json={"token": made["token"], "password": PASSWORD})
    assert accepted.json()["tenant_id"] == str(me.tenant_id)
    (shown,) = (await api.get("/api/v1/invitations")).json()["items"]
    assert (shown["id"], shown["invited_by"], shown["role"]) == (made["invitation_id"], None, "owner")
    assert await fails(settings, "users", "invite", "ADA@example.org") == "already_member"
    assert made["token"] not in str(await owner.fetch("SELECT * FROM audit_log"))


async def test_of_several_tenants_one_is_named(
    me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], say: Say, settings: Settings, owner: Owner
) -> None:
    other = await new_identity()
    assert await fails(settings, "users", "invite", "a@example.org") == "request_error"
    made = await say("users", "invite", "a@example.org", "--tenant", str(other.tenant_id))
    assert made["tenant_id"] == str(other.tenant_id)
    assert await fails(settings, "users", "invite", "a@example.org", "--tenant", NOTHING) == "not_found"
    assert await lines(owner, me.tenant_id) == []
    listed = (await say("users", "ls", "--tenant", str(me.tenant_id)))["items"]
    assert [one["id"] for one in listed] == [str(me.user_id)]
    problem = await arqueduct("users", "invite", "b@example.org", settings=settings)
    assert problem.stderr == (
        "Error: There are several tenants.\nSay which with --tenant: `arqueduct tenants ls` lists them.\n"
    )


async def test_a_tenant_is_named_by_its_name(
    me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], say: Say, settings: Settings, owner: Owner
) -> None:
    other = await new_identity()
    await owner.execute("UPDATE tenants SET name = 'Acme & Söhne' WHERE id = $1", other.tenant_id)
    made = await say("users", "invite", "a@example.org", "--tenant", "Acme & Söhne")
    assert made["tenant_id"] == str(other.tenant_id)
    assert [one["id"] for one in (await say("users", "ls", "--tenant", "Acme & Söhne"))["items"]] == [
        str(other.user_id)
    ]
    assert len((await say("keys", "ls", "--tenant", "Acme & Söhne"))["items"]) == 1
    for command in (("users", "ls"), ("keys", "ls"), ("keys", "create", other.email)):
        assert await fails(settings, *command, "--tenant", "Acme") == "not_found"
        assert await fails(settings, *command, "--tenant", "") == "not_found"
    await owner.execute("UPDATE tenants SET name = 'Acme & Söhne' WHERE id = $1", me.tenant_id)
    assert await fails(settings, "users", "ls", "--tenant", "Acme & Söhne") == "request_error"


async def test_a_list_of_one_tenant_tells_nothing_of_another(
    me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], say: Say, settings: Settings, owner: Owner
) -> None:
    other = await new_identity()
    await owner.execute("UPDATE tenants SET name = 'Acme' WHERE id = $1", me.tenant_id)
    await owner.execute("UPDATE tenants SET name = 'Beta' WHERE id = $1", other.tenant_id)
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer')", other.tenant_id, me.user_id)
    for tenant, role in ((me, "owner"), (other, "viewer")):
        listed = (await say("users", "ls", "--tenant", str(tenant.tenant_id)))["items"]
        (mine,) = [one for one in listed if one["id"] == str(me.user_id)]
        assert (mine["roles"], mine["tenant_ids"]) == ([role], [str(tenant.tenant_id)])
    assert "owner of Acme, viewer of Beta" in done(await arqueduct("users", "ls", settings=settings))
    only = done(await arqueduct("users", "ls", "--tenant", "Beta", settings=settings))
    assert "viewer of Beta" in only
    assert "Acme" not in only
    assert len((await say("users", "disable", me.email))["disabled_at"]) > 0
    assert [action for action, _, _ in await lines(owner, other.tenant_id)] == ["cli users disable"]


async def test_keys_tell_what_they_may_where_and_until_when(me: NewIdentity, say: Say, settings: Settings) -> None:
    await say(
        "keys", "create", me.email, "--name", "ci", "--scope", "jobs:read", "--scope", "jobs:write", "--days", "1"
    )
    listed = done(await arqueduct("keys", "ls", settings=settings))
    head, made, first = listed.splitlines()
    assert head.split() == ["Key", "Name", "Of", "Tenant", "Scopes", "Used", "State"]
    tenant = (await say("tenants", "ls"))["items"][0]["name"]
    for said in ("ci (aq_", me.email, tenant, "jobs:read, jobs:write", "never", "good until 20"):
        assert said in made
    assert " all " in first


async def test_a_role_is_given_and_the_last_owner_stays(
    me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], say: Say, settings: Settings, owner: Owner
) -> None:
    editor, service = await join(owner, me.tenant_id, "editor"), await join(owner, me.tenant_id, "service")
    assert await fails(settings, "users", "role", me.email, "viewer") == "last_owner"
    assert await fails(settings, "users", "role", service.email, "owner") == "not_this_member"
    assert (await say("users", "role", editor.email, "owner"))["role"] == "owner"
    await say("users", "role", me.email, "viewer")
    assert (await role_of(owner, editor), await role_of(owner, me)) == ("owner", "viewer")
    elsewhere = await new_identity()
    assert (
        await fails(settings, "users", "role", me.email, "owner", "--tenant", str(elsewhere.tenant_id)) == "not_found"
    )
    changed = await owner.fetchrow("SELECT * FROM audit_log WHERE action = 'cli users role' ORDER BY id DESC LIMIT 1")
    assert changed
    assert json.loads(changed["before"])["role"] == "owner"
    assert (json.loads(changed["after"])["role"], changed["user_id"]) == ("viewer", None)


async def test_a_password_is_reset_whichever_tenants_he_belongs_to(
    me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], say: Say, settings: Settings, owner: Owner
) -> None:
    other = await new_identity()
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer')", other.tenant_id, me.user_id)
    made = await say("users", "reset-password", me.email)
    assert await owner.fetchval("SELECT redeem_reset($1, 'hash')", key_hash(made["token"])) == me.user_id
    for tenant in (me, other):
        assert await lines(owner, tenant.tenant_id) == [("cli users reset-password", "done", None)]
    service = await join(owner, me.tenant_id, "service")
    assert await fails(settings, "users", "reset-password", service.email) == "not_this_member"


async def test_a_key_is_made_seen_and_revoked(
    app: FastAPI, me: NewIdentity, say: Say, settings: Settings, owner: Owner
) -> None:
    made = await say("keys", "create", me.email, "--name", "ci", "--scope", "documents:read", "--days", "1")
    async with client_of(app) as api:
        api.headers["X-API-Key"] = made["api_key"]
        assert (await api.get("/api/v1/documents")).status_code == 200
        problem(await api.get("/api/v1/jobs"), 403, "forbidden")
        listed = (await say("keys", "ls", "--user", me.email))["items"]
        assert [one["name"] for one in listed] == ["ci", "first key"]
        assert made["api_key"] not in str(listed)
        await say("keys", "revoke", made["key_id"])
        problem(await api.get("/api/v1/documents"), 401, "not_authenticated")
    assert await fails(settings, "keys", "revoke", made["key_id"]) == "not_found"
    assert [one["name"] for one in (await say("keys", "ls"))["items"]] == ["first key"]
    assert "revoked" in done(await arqueduct("keys", "ls", "--all", settings=settings))
    done_by_hand = [action for action, outcome, _ in await lines(owner, me.tenant_id) if outcome == "done"]
    assert done_by_hand == ["cli keys create", "cli keys revoke"]


async def test_nothing_half_done_is_left(me: NewIdentity, settings: Settings, owner: Owner) -> None:
    before = await owner.fetch("SELECT * FROM api_keys ORDER BY id")
    assert await fails(settings, "keys", "create", me.email, "--tenant", NOTHING) == "not_found"
    assert await owner.fetch("SELECT * FROM api_keys ORDER BY id") == before
    assert await lines(owner, me.tenant_id) == []
