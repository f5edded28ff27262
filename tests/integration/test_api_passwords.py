"""Passwords: chosen anew by who knows the old one, or by a token – which must not outlive the right to hand it out."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity, key_hash
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem, services_of
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import join, lines
from tests.integration.signing_in import BETTER, bearer, login, me_of


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@pytest.fixture
async def nobody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any proof."""
    async with client_of(app) as client:
        yield client


async def test_a_new_password_ends_the_other_sessions(nobody: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    here, there = await login(nobody, me), await login(nobody, me)
    body = {"old_password": me.password, "new_password": BETTER}
    assert (await nobody.post("/api/v1/auth/password", json=body, headers=bearer(here))).status_code == 204
    assert (await me_of(nobody, here)).status_code == 200
    problem(await me_of(nobody, there), 401, "session_over")
    old = await nobody.post("/api/v1/auth/login", json={"email": me.email, "password": me.password})
    problem(old, 401, "wrong_credentials")
    await login(nobody, me, password=BETTER)
    assert ("change_password", "done", None) in await lines(owner, me.tenant_id)


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        ("not it", BETTER, 403, "wrong_password"),
        (None, "short", 422, "weak_password"),
        (None, "password-2026-password", 422, "weak_password"),
        (None, None, 422, "weak_password"),
    ],
    ids=["wrong old one", "too short", "too common", "the same"],
)
async def test_a_password_is_not_changed_when(
    nobody: httpx.AsyncClient,
    me: NewIdentity,
    old: str | None,
    new: str | None,
    status: int,
    code: str,
) -> None:
    body = {"old_password": old or me.password, "new_password": new or me.password}
    answer = await nobody.post("/api/v1/auth/password", json=body, headers=bearer(await login(nobody, me)))
    problem(answer, status, code)
    await login(nobody, me)


async def offer_reset(app: FastAPI, me: NewIdentity, token: str, *, age: str = "0") -> None:
    """As an administrator does."""
    async with services_of(app).database.transaction(me.tenant_id) as transaction:
        assert await transaction.driver.fetchval(
            f"SELECT offer_reset($1, $2, now() + interval '1 hour' - interval '{age} hours', $1)",
            me.user_id,
            key_hash(token),
        )


async def reset(client: httpx.AsyncClient, token: str, password: str) -> httpx.Response:
    return await client.post("/api/v1/auth/password/reset", json={"token": token, "new_password": password})


async def test_a_reset_token_changes_the_password_once_and_ends_all_sessions(
    app: FastAPI, nobody: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    before = await login(nobody, me)
    await offer_reset(app, me, "aq_reset_1")
    problem(await reset(nobody, "aq_reset_1", "too short"), 422, "weak_password")
    problem(await reset(nobody, "aq_reset_1", f"{me.email.partition('@')[0]} 1"), 422, "weak_password")
    assert (await reset(nobody, "aq_reset_1", BETTER)).status_code == 204
    problem(await reset(nobody, "aq_reset_1", BETTER), 401, "reset_unknown")
    problem(await me_of(nobody, before), 401, "session_over")
    await login(nobody, me, password=BETTER)
    assert ("reset_password", "done", None) in await lines(owner, me.tenant_id)


async def test_a_reset_token_that_is_old_or_invented_changes_nothing(
    app: FastAPI, nobody: httpx.AsyncClient, me: NewIdentity
) -> None:
    await offer_reset(app, me, "aq_reset_2", age="2")
    problem(await reset(nobody, "aq_reset_2", BETTER), 401, "reset_unknown")
    problem(await reset(nobody, "aq_reset_3", BETTER), 401, "reset_unknown")
    await login(nobody, me)


async def offered(client: httpx.AsyncClient, member: NewIdentity) -> str:
    answer = await client.post(f"/api/v1/members/{member.user_id}/password-reset")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def test_a_reset_token_is_worth_nothing_once_it_could_not_be_offered_any_more(
    app: FastAPI,
    nobody: httpx.AsyncClient,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Owner,
    subtests: pytest.Subtests,
) -> None:
    """Else its maker becomes whatever the member becomes, there or in another tenant."""
    elsewhere = await new_identity()
    tenant = me.tenant_id
    changes = {
        "the member rose": "UPDATE memberships SET role = 'owner' WHERE user_id = $2 AND tenant_id = $4",
        "the member is in another tenant too": "INSERT INTO memberships VALUES ($3, $2, 'owner')",
        "the member is in another tenant only": "UPDATE memberships SET tenant_id = $3 WHERE user_id = $2",
        "the member left and came back": "UPDATE memberships SET created_at = now() WHERE user_id = $2",
        "who offered it fell": "UPDATE memberships SET role = 'viewer' WHERE user_id = $1",
        "who offered it is gone": "DELETE FROM memberships WHERE user_id = $1",
        "who offered it is disabled": "UPDATE users SET disabled_at = now() WHERE id = $1",
    }
    for what, statement in changes.items():
        admin, member = await join(owner, tenant, "admin"), await join(owner, tenant, "viewer")
        async with client_of(app, admin) as client:
            token = await offered(client, member)
        ids = "SELECT $1::uuid, $2::uuid, $3::uuid, $4::uuid"
        await owner.execute(
            f"WITH given AS ({ids}) {statement}", admin.user_id, member.user_id, elsewhere.tenant_id, tenant
        )
        with subtests.test(what):
            problem(await reset(nobody, token, BETTER), 401, "reset_unknown")


async def test_sessions_that_end_elsewhere_are_told_there(
    nobody: httpx.AsyncClient, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    other = await new_identity()
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer')", other.tenant_id, me.user_id)
    here = await login(nobody, me, tenant_id=str(me.tenant_id))
    for path, body in (
        ("password", {"old_password": me.password, "new_password": BETTER}),
        ("logout-everywhere", None),
    ):
        password = me.password if path == "password" else BETTER
        await login(nobody, me, password=password, tenant_id=str(other.tenant_id))
        answer = await nobody.post(f"/api/v1/auth/{path}", json=body, headers=bearer(here))
        assert answer.is_success, answer.text
    told = await owner.fetch(
        "SELECT action, after FROM audit_log WHERE tenant_id = $1 AND action <> 'login' ORDER BY id", other.tenant_id
    )
    assert [(row["action"], row["after"]) for row in told] == [
        ("change_password", '{"ended": 1}'),
        ("logout_everywhere", '{"ended": 1}'),
    ]


async def test_a_key_of_one_tenant_does_nothing_to_its_person_in_others(
    api: httpx.AsyncClient, nobody: httpx.AsyncClient, me: NewIdentity
) -> None:
    signed_in = await login(nobody, me)
    passwords = {"old_password": me.password, "new_password": BETTER}
    for method, path, body in (
        ("POST", "logout", None),
        ("POST", "logout-everywhere", None),
        ("POST", "password", passwords),
        ("GET", "sessions", None),
        ("DELETE", f"sessions/{signed_in['session_id']}", None),
    ):
        problem(await api.request(method, f"/api/v1/auth/{path}", json=body), 409, "no_session")
    assert (await me_of(nobody, signed_in)).status_code == 200
