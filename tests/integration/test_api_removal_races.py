"""Somebody is removed, or loses his role, while he still acts: what he does comes to nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import join, with_key
from tests.integration.signing_in import BETTER, bearer, login, me_of
from tests.integration.worker import until

REMOVED = "DELETE FROM memberships WHERE user_id = $1"
DEMOTED = "UPDATE memberships SET role = 'viewer' WHERE user_id = $1"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def is_waiting(watching: Owner) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await watching.fetchval(query))


async def while_losing(
    owner: Owner, admin: NewIdentity, statement: str, act: Any, settings: Settings
) -> httpx.Response:
    """His request is proved and waits for what takes his right away, which then is carried out."""
    async with owning(settings) as watching:
        async with owner.transaction():
            await owner.execute("SELECT FROM memberships WHERE user_id = $1 FOR UPDATE", admin.user_id)
            await owner.execute(statement, admin.user_id)
            acting = asyncio.create_task(act)
            await until(lambda: is_waiting(watching))
        answer: httpx.Response = await acting
        return answer


@pytest.mark.parametrize(
    ("statement", "status", "code"), [(REMOVED, 401, "not_authenticated"), (DEMOTED, 403, "forbidden")]
)
@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/invitations", {"email": "himself@example.org", "role": "admin"}, "invitations"),
        ("/keys", {"name": "for later"}, "api_keys"),
        ("/service-accounts", {"name": "for later"}, "users"),
    ],
    ids=["invitation", "key", "service account"],
)
async def test_what_he_leaves_behind_comes_to_nothing(
    app: FastAPI,
    me: NewIdentity,
    owner: Owner,
    settings: Settings,
    statement: str,
    status: int,
    code: str,
    path: str,
    body: dict[str, Any],
    table: str,
) -> None:
    admin = await join(owner, me.tenant_id, "admin")
    before = await owner.fetchval(f"SELECT count(*) FROM {table}")
    async with client_of(app, admin) as client:
        answer = await while_losing(owner, admin, statement, client.post(f"/api/v1{path}", json=body), settings)
    problem(answer, status, code)
    assert await owner.fetchval(f"SELECT count(*) FROM {table}") == before


async def test_a_password_reset_that_races_his_removal_is_none(
    app: FastAPI, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    admin, member = await join(owner, me.tenant_id, "admin"), await join(owner, me.tenant_id, "viewer")
    async with client_of(app, admin) as client:
        act = client.post(f"/api/v1/members/{member.user_id}/password-reset")
        problem(await while_losing(owner, admin, REMOVED, act, settings), 401, "not_authenticated")
    assert await owner.fetchval("SELECT count(*) FROM password_resets") == 0


async def test_keys_and_sessions_of_an_earlier_membership_stay_dead(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    admin = await join(owner, me.tenant_id, "admin")
    await owner.execute(
        "UPDATE memberships SET created_at = now() + interval '1 second' WHERE user_id = $1", admin.user_id
    )
    async with client_of(app, admin) as client:
        problem(await client.get("/api/v1/documents"), 401, "not_authenticated")


async def test_a_login_that_races_a_change_of_the_password_leaves_no_session(
    app: FastAPI, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    """The old password was right when it was compared."""
    async with client_of(app) as client, owning(settings) as watching:
        async with owner.transaction():
            await owner.execute("SELECT set_password($1, 'another hash')", me.user_id)
            login = asyncio.create_task(
                client.post("/api/v1/auth/login", json={"email": me.email, "password": me.password})
            )
            await until(lambda: is_waiting(watching))
        problem(await login, 401, "wrong_credentials")
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0


async def test_a_key_that_is_revoked_while_it_makes_another_makes_none(
    app: FastAPI, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    """Else it would leave an heir, and one without an end."""
    ends = await with_key(owner, me, expires_at=datetime.now(UTC) + timedelta(hours=1))
    async with client_of(app, ends) as client, owning(settings) as watching:
        async with owner.transaction():
            await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE expires_at IS NOT NULL")
            acting = asyncio.create_task(client.post("/api/v1/keys", json={"name": "heir"}))
            await until(lambda: is_waiting(watching))
        problem(await acting, 401, "not_authenticated")
    assert await owner.fetchval("SELECT count(*) FROM api_keys WHERE name = 'heir'") == 0


async def test_nobody_keeps_himself_in_by_making_keys_while_he_is_removed(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    for _ in range(10):
        admin = await join(owner, me.tenant_id, "admin")
        async with client_of(app, admin) as client:
            removal, *made = await asyncio.gather(
                api.delete(f"/api/v1/members/{admin.user_id}"),
                *(client.post("/api/v1/keys", json={"name": "for later"}) for _ in range(3)),
            )
            assert removal.status_code == 204, removal.text
            assert {answer.status_code for answer in made} <= {201, 401}
        for answer in made:
            key = answer.json().get("api_key", admin.api_key)
            later = await api.get("/api/v1/documents", headers={"Authorization": f"Bearer {key}"})
            problem(later, 401, "not_authenticated")


async def test_of_two_who_change_a_password_the_one_with_the_old_one_does_not_win(
    app: FastAPI, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    async with client_of(app) as client, owning(settings) as watching:
        signed_in = await login(client, me)
        body = {"old_password": me.password, "new_password": BETTER}
        async with owner.transaction():
            await owner.execute(
                "SELECT set_password($1, 'another hash', $2)", me.user_id, UUID(signed_in["session_id"])
            )
            changing = asyncio.create_task(client.post("/api/v1/auth/password", json=body, headers=bearer(signed_in)))
            await until(lambda: is_waiting(watching))
        problem(await changing, 403, "wrong_password")
    assert await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", me.user_id) == "another hash"


async def test_what_a_disabled_admin_sent_opens_nothing(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    admin = await join(owner, me.tenant_id, "admin")
    async with client_of(app, admin) as client:
        made = await client.post("/api/v1/invitations", json={"email": "ada@example.org", "role": "admin"})
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", admin.user_id)
    async with client_of(app) as guest:
        asked = {"token": made.json()["token"], "password": BETTER}
        problem(await guest.post("/api/v1/auth/invitations/accept", json=asked), 404, "invitation_not_open")


async def test_a_session_of_an_earlier_membership_is_over(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    async with client_of(app) as client:
        signed_in = await login(client, me)
        await owner.execute(
            "UPDATE memberships SET created_at = now() + interval '1 second' WHERE user_id = $1", me.user_id
        )
        problem(await me_of(client, signed_in), 401, "session_over")
