"""Who belongs to a tenant: roles, leaving, service accounts, resets, invitations – and nobody rises by himself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.permissions import Role
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem, serving
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import NOTHING, PASSWORD, join, lines, role_of, with_key
from tests.integration.worker import until

MEMBERS = "/api/v1/members"
INVITATIONS = "/api/v1/invitations"
ACCEPT = "/api/v1/auth/invitations/accept"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def invite(api: httpx.AsyncClient, email: str = "ada@example.org", role: str = "editor") -> Any:
    answer = await api.post(INVITATIONS, json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def accept(api: httpx.AsyncClient, token: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await api.post(ACCEPT, json={"token": token, "password": password, **more})


async def test_the_tenant_can_be_read_by_all_and_renamed_by_its_owner(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    admin = await join(owner, me.tenant_id, "admin")
    renamed = await api.patch("/api/v1/tenant", json={"name": "Aqua Claudia"})
    async with client_of(app, admin) as other:
        seen = (await other.get("/api/v1/tenant")).json()
        problem(await other.patch("/api/v1/tenant", json={"name": "mine"}), 403, "forbidden")
    assert renamed.json() == seen
    assert (seen["id"], seen["name"]) == (str(me.tenant_id), "Aqua Claudia")
    assert ("change_tenant", "done", None) in await lines(owner, me.tenant_id)


async def test_a_name_that_somebody_else_changed_is_not_overwritten(api: httpx.AsyncClient) -> None:
    first = await api.get("/api/v1/tenant")
    tag = first.headers["etag"]
    assert (await api.get("/api/v1/tenant", headers={"If-None-Match": tag})).status_code == 304
    changed = await api.patch("/api/v1/tenant", json={"name": "One"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    late = await api.patch("/api/v1/tenant", json={"name": "Two"}, headers={"If-Match": tag})
    problem(late, 412, "precondition_failed")
    assert (await api.get("/api/v1/tenant")).headers["etag"] == changed.headers["etag"]


@pytest.mark.parametrize("name", ["", " ", " x", "x\n", "a\u0000b", "x" * 201, 7, None])
async def test_a_name_is_a_line_of_text(api: httpx.AsyncClient, name: object) -> None:
    problem(await api.patch("/api/v1/tenant", json={"name": name}), 422, "invalid_request")


async def test_members_are_listed_in_pages(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    joined = [await join(owner, me.tenant_id, "viewer") for _ in range(4)]
    seen, cursor = [], None
    while True:
        answer = (await api.get(MEMBERS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += answer["items"]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert [member["user_id"] for member in seen] == [str(one.user_id) for one in [*reversed(joined), me]]
    assert seen[-1]["email"] == me.email
    assert seen[-1]["role"] == "owner"


async def test_a_new_role_holds_from_the_next_request(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    viewer = await join(owner, me.tenant_id, "viewer")
    async with client_of(app, viewer) as other:
        problem(await other.delete(f"/api/v1/documents/{NOTHING}"), 403, "forbidden")
        changed = (await api.patch(f"{MEMBERS}/{viewer.user_id}", json={"role": "editor"})).json()
        problem(await other.delete(f"/api/v1/documents/{NOTHING}"), 404, "not_found")
    assert changed["role"] == "editor"


async def test_only_owners_make_and_unmake_owners(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    admin, second = await join(owner, me.tenant_id, "admin"), await join(owner, me.tenant_id, "owner")
    async with client_of(app, admin) as rising:
        for attempt in (
            rising.patch(f"{MEMBERS}/{admin.user_id}", json={"role": "owner"}),
            rising.patch(f"{MEMBERS}/{second.user_id}", json={"role": "viewer"}),
            rising.delete(f"{MEMBERS}/{second.user_id}"),
            rising.post(f"{MEMBERS}/{second.user_id}/password-reset"),
            rising.post(INVITATIONS, json={"email": "me.too@example.org", "role": "owner"}),
        ):
            problem(await attempt, 403, "forbidden")
    assert await role_of(owner, admin) == "admin"
    assert await role_of(owner, second) == "owner"
    assert (await api.patch(f"{MEMBERS}/{admin.user_id}", json={"role": "owner"})).json()["role"] == "owner"
    assert (await api.patch(f"{MEMBERS}/{second.user_id}", json={"role": "viewer"})).json()["role"] == "viewer"
    denied = [line for line in await lines(owner, me.tenant_id) if line[1] == "denied"]
    assert len(denied) == 5


async def test_a_key_with_few_scopes_hands_out_no_more_than_it_has(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    other = await join(owner, me.tenant_id, "viewer")
    limited = await with_key(owner, me, ["members:write", "members:read", "owners:write"])
    async with client_of(app, limited) as rising:
        for attempt in (
            rising.patch(f"{MEMBERS}/{other.user_id}", json={"role": "admin"}),
            rising.post(f"{MEMBERS}/{other.user_id}/password-reset"),
            rising.post(INVITATIONS, json={"email": "x@example.org", "role": "viewer"}),
        ):
            problem(await attempt, 403, "forbidden")


async def test_the_last_owner_stays(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    gone = await join(owner, me.tenant_id, "owner")
    await owner.execute(
        "UPDATE users SET disabled_at = now() WHERE id = $1", gone.user_id
    )  # cannot act, so not counted
    problem(await api.patch(f"{MEMBERS}/{me.user_id}", json={"role": "admin"}), 409, "last_owner")
    problem(await api.delete(f"{MEMBERS}/{me.user_id}"), 409, "last_owner")
    assert await role_of(owner, me) == "owner"
    assert (await api.delete(f"{MEMBERS}/{gone.user_id}")).status_code == 204


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_two_owners_who_unmake_each_other_at_once_leave_one(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner, method: str
) -> None:
    second = await join(owner, me.tenant_id, "owner")
    body = {"role": "editor"} if method == "PATCH" else None
    async with client_of(app, second) as other:
        async with owner.transaction():  # both wait here, with their permission checked already
            await owner.execute("SELECT FROM memberships WHERE tenant_id = $1 FOR UPDATE", me.tenant_id)
            mine = asyncio.create_task(api.request(method, f"{MEMBERS}/{second.user_id}", json=body))
            theirs = asyncio.create_task(other.request(method, f"{MEMBERS}/{me.user_id}", json=body))
            await until(lambda: _are_waiting(owner, 2))
        answers = await asyncio.gather(mine, theirs)
    first, late = sorted(answers, key=lambda answer: answer.status_code)
    assert first.is_success
    problem(late, 409, "last_owner")
    left = await owner.fetch("SELECT FROM memberships WHERE tenant_id = $1 AND role = 'owner'", me.tenant_id)
    assert len(left) == 1


async def _are_waiting(owner: Owner, many: int) -> bool:
    await owner.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees the same all along
    waiting = await owner.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(waiting == many)


async def test_who_leaves_loses_sessions_keys_and_open_invitations(
    app: FastAPI,
    api: httpx.AsyncClient,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Owner,
) -> None:
    admin, elsewhere = await join(owner, me.tenant_id, "admin"), await new_identity()
    for tenant_id in (me.tenant_id, elsewhere.tenant_id):
        await owner.execute(
            "INSERT INTO sessions (id, tenant_id, user_id, expires_at, method) "
            "VALUES ($1, $2, $3, now() + interval '1 day', 'password')",
            new_id(),
            tenant_id,
            admin.user_id,
        )
    async with client_of(app, admin) as other:
        sent = await invite(other)
        assert (await api.delete(f"{MEMBERS}/{admin.user_id}")).status_code == 204
        problem(await other.get(MEMBERS), 401, "not_authenticated")
        problem(await accept(other, sent["token"]), 404, "invitation_not_open")
    ended = await owner.fetch("SELECT tenant_id, ended_why FROM sessions WHERE user_id = $1", admin.user_id)
    assert dict(map(tuple, ended)) == {me.tenant_id: "removed", elsewhere.tenant_id: None}
    problem(await api.delete(f"{MEMBERS}/{admin.user_id}"), 404, "not_found")
    # Who comes back begins anew: old keys stay revoked.
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer')", me.tenant_id, admin.user_id)
    async with client_of(app, admin) as other:
        problem(await other.get(MEMBERS), 401, "not_authenticated")


async def test_who_is_demoted_takes_back_what_he_could_not_send_now(
    api: httpx.AsyncClient, app: FastAPI, me: NewIdentity, owner: Owner
) -> None:
    second = await join(owner, me.tenant_id, "owner")
    async with client_of(app, second) as other:
        high, low = await invite(other, "a@example.org", "owner"), await invite(other, "b@example.org", "editor")
    await api.patch(f"{MEMBERS}/{second.user_id}", json={"role": "admin"})
    problem(await accept(api, high["token"]), 404, "invitation_not_open")
    assert (await accept(api, low["token"])).status_code == 201


async def test_a_service_account_works_and_manages_nothing(app: FastAPI, api: httpx.AsyncClient, owner: Owner) -> None:
    made = (await api.post("/api/v1/service-accounts", json={"name": "nightly import"})).json()
    key = (await api.post("/api/v1/keys", json={"name": "import", "user_id": made["user_id"]})).json()["api_key"]
    async with client_of(app) as program:
        program.headers["X-API-Key"] = key
        assert (await program.get("/api/v1/documents")).status_code == 200
        problem(await program.get(MEMBERS), 403, "forbidden")
        problem(await program.post("/api/v1/keys", json={"name": "more"}), 403, "forbidden")
    problem(await api.patch(f"{MEMBERS}/{made['user_id']}", json={"role": "admin"}), 409, "not_this_member")
    problem(await api.post(f"{MEMBERS}/{made['user_id']}/password-reset"), 409, "not_this_member")
    problem(await api.patch(f"{MEMBERS}/{made['user_id']}", json={"role": "service"}), 422, "invalid_request")
    (listed,) = [one for one in (await api.get(MEMBERS)).json()["items"] if one["role"] == "service"]
    assert listed["name"] == "nightly import"


async def test_a_reset_token_is_shown_once_and_kept_as_a_hash(
    api: httpx.AsyncClient, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    editor, elsewhere = await join(owner, me.tenant_id, "editor"), await new_identity()
    made = await api.post(f"{MEMBERS}/{editor.user_id}/password-reset")
    assert made.status_code == 201
    token = made.json()["token"]
    chosen = {"token": token, "new_password": PASSWORD}
    assert (await api.post("/api/v1/auth/password/reset", json=chosen)).status_code == 204
    problem(await api.post("/api/v1/auth/password/reset", json=chosen), 401, "reset_unknown")
    signed_in = await api.post("/api/v1/auth/login", json={"email": editor.email, "password": PASSWORD})
    assert signed_in.status_code == 200, signed_in.text
    assert token not in str(await owner.fetch("SELECT * FROM password_resets"))
    await owner.execute("INSERT INTO memberships VALUES ($1, $2, 'viewer')", elsewhere.tenant_id, editor.user_id)
    problem(await api.post(f"{MEMBERS}/{editor.user_id}/password-reset"), 409, "not_this_member")
    problem(await api.post(f"{MEMBERS}/{elsewhere.user_id}/password-reset"), 404, "not_found")


async def test_an_invitation_makes_a_user_with_the_password_he_chose(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    made = await invite(api, "Ada@Example.org", "editor")
    assert made["invitation"]["state"] == "open"
    async with client_of(app) as guest:
        answer = await accept(guest, made["token"], name="Ada")
        assert answer.status_code == 201, answer.text
        problem(await accept(guest, made["token"]), 404, "invitation_not_open")
    user = await owner.fetchrow("SELECT * FROM users WHERE email = 'Ada@Example.org'")
    assert user
    assert answer.json() == {"user_id": str(user["id"]), "tenant_id": str(me.tenant_id)}
    assert user["name"] == "Ada"
    signed_in = await api.post("/api/v1/auth/login", json={"email": "ada@example.org", "password": PASSWORD})
    assert signed_in.status_code == 200, signed_in.text
    (listed,) = (await api.get(INVITATIONS)).json()["items"]
    assert listed["state"] == "accepted"
    assert ("accept_invitation", "done", None) in await lines(owner, me.tenant_id)
    problem(await api.post(INVITATIONS, json={"email": "ada@example.ORG", "role": "viewer"}), 409, "already_member")


async def test_a_user_who_is_there_already_proves_that_the_invitation_is_his(
    app: FastAPI,
    api: httpx.AsyncClient,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Owner,
) -> None:
    known = await new_identity()
    made = await invite(api, known.email.upper(), "viewer")
    async with client_of(app) as guest:
        problem(await accept(guest, made["token"], "a guess of somebody else"), 401, "wrong_credentials")
        # Those who look after him see that somebody guesses, those who invited him do not learn who he is.
        denied = ("accept_invitation", "denied", "wrong_credentials")
        assert (await lines(owner, known.tenant_id))[-1] == denied
        assert (await lines(owner, me.tenant_id))[-1] == denied
        whose = await owner.fetch("SELECT tenant_id, user_id FROM audit_log WHERE code = 'wrong_credentials'")
        assert dict(map(tuple, whose)) == {known.tenant_id: known.user_id, me.tenant_id: None}
        assert (
            await role_of(
                owner, NewIdentity(tenant_id=me.tenant_id, user_id=known.user_id, email="", password="", api_key="")
            )
            is None
        )
        answer = await accept(guest, made["token"], known.password)
    assert answer.json() == {"user_id": str(known.user_id), "tenant_id": str(me.tenant_id)}


async def test_who_invites_an_address_cannot_guess_at_its_password(
    settings: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> None:
    known = await new_identity()
    strict = settings.model_copy(update={"sign_ins_per_account": 3})
    async with serving(strict) as app, client_of(app, me) as api:
        token = (await invite(api, known.email, "viewer"))["token"]
        guesses = [(await accept(api, token, f"guess number {number}")).status_code for number in range(4)]
        assert guesses == [401] * 3 + [429]
        problem(await accept(api, token, known.password), 429, "rate_limited")
        # Nor by any other way: an account has one budget.
        guess = {"email": known.email, "password": known.password}
        problem(await api.post("/api/v1/auth/login", json=guess), 429, "rate_limited")


async def test_a_weak_password_does_not_tell_who_has_an_account(
    settings: Settings, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]]
) -> None:
    known = await new_identity()
    strict = settings.model_copy(update={"sign_ins_per_account": 3})
    async with serving(strict) as app, client_of(app, me) as api:
        told = []
        for email in (known.email, "nobody.at.all@example.org"):
            token = (await invite(api, email, "viewer"))["token"]
            found = [await accept(api, token, "short") for _ in range(4)]
            told.append([(one.status_code, one.json()["detail"], one.headers["ratelimit-remaining"]) for one in found])
        assert told[0] == told[1]
        assert [status for status, *_ in told[0]] == [422] * 3 + [429]


async def test_nobody_becomes_a_service_account_or_a_disabled_user(
    api: httpx.AsyncClient, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    other = await new_identity()
    service = await join(owner, other.tenant_id, "service")
    made = await invite(api, service.email, "viewer")
    problem(await accept(api, made["token"], "any password at all"), 401, "wrong_credentials")
    made = await invite(api, other.email, "viewer")
    await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", other.user_id)
    problem(await accept(api, made["token"], other.password), 404, "invitation_not_open")


async def test_an_invitation_ends_by_time_by_revocation_and_by_the_next(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, owner: Owner
) -> None:
    first, second = await invite(api), await invite(api)
    problem(await accept(api, first["token"]), 404, "invitation_not_open")
    address = f"{INVITATIONS}/{second['invitation']['id']}"
    problem(await stranger.delete(address), 404, "not_found")
    assert (await stranger.get(INVITATIONS)).json()["items"] == []
    assert (await api.delete(address)).status_code == 204
    problem(await api.delete(address), 404, "not_found")
    third = await invite(api)
    await owner.execute("UPDATE invitations SET expires_at = now() WHERE id = $1", third["invitation"]["id"])
    for made in (second, third):
        problem(await accept(api, made["token"]), 404, "invitation_not_open")
    states = [one["state"] for one in (await api.get(INVITATIONS)).json()["items"]]
    assert states == ["expired", "revoked", "revoked"]


@pytest.mark.parametrize(
    ("email", "role"),
    [
        ("nobody", "viewer"),
        ("a b@example.org", "viewer"),
        ("a@example.org\r\nBcc: b@example.org", "viewer"),
        ("a\u0000@example.org", "viewer"),
        ("ada@example.org", "service"),
        ("ada@example.org", "emperor"),
    ],
    ids=["no-at", "space", "lines", "nul", "service", "unknown-role"],
)
async def test_a_wrong_invitation_is_refused(api: httpx.AsyncClient, email: str, role: str) -> None:
    problem(await api.post(INVITATIONS, json={"email": email, "role": role}), 422, "invalid_request")


async def test_a_weak_password_leaves_the_invitation_open(api: httpx.AsyncClient) -> None:
    made = await invite(api)
    problem(await accept(api, made["token"], "short"), 422, "weak_password")
    problem(await accept(api, made["token"], name="x", role="owner"), 422, "invalid_request")
    surrogate = b'{"token": "\\ud800", "password": "\\ud800"}'
    answer = await api.post(ACCEPT, content=surrogate, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert (await accept(api, made["token"])).status_code == 201


async def test_two_invitations_of_one_new_address_make_one_user(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, owner: Owner
) -> None:
    tokens = [(await invite(one, "twin@example.org"))["token"] for one in (api, stranger)]
    answers = await asyncio.gather(*(accept(api, token) for token in tokens))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["user_id"] for answer in answers}) == 1
    # With another password the second is somebody else.
    tokens = [(await invite(one, "rival@example.org"))["token"] for one in (api, stranger)]
    answers = await asyncio.gather(*(accept(api, token, f"{PASSWORD} {token[-5:]}") for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [201, 401]
    assert await owner.fetchval("SELECT count(*) FROM users WHERE email = 'rival@example.org'") == 1


async def test_an_invitation_that_two_accept_at_once_is_accepted_once(api: httpx.AsyncClient) -> None:
    token = (await invite(api))["token"]
    answers = await asyncio.gather(accept(api, token), accept(api, token))
    assert sorted(answer.status_code for answer in answers) == [201, 404]


async def test_secrets_are_in_no_line_of_the_audit_log(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    invitation = await invite(api)
    key = (await api.post("/api/v1/keys", json={"name": "k"})).json()["api_key"]
    await accept(api, invitation["token"])
    log = str([tuple(row) for row in await owner.fetch("SELECT * FROM audit_log")])
    for secret in (invitation["token"], key, PASSWORD, "ada@example.org"):
        assert secret not in log


async def test_another_tenants_members_are_not_found(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    problem(await stranger.patch(f"{MEMBERS}/{me.user_id}", json={"role": "viewer"}), 404, "not_found")
    problem(await stranger.delete(f"{MEMBERS}/{me.user_id}"), 404, "not_found")
    assert str(me.user_id) not in (await stranger.get(MEMBERS)).text
    assert await role_of(owner, me) == Role.OWNER
