"""Signing in, staying signed in, and signing out, over the API as it is served."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from arqueduct.identity import NewIdentity, key_hash
from arqueduct.passwords import Passwords
from arqueduct.settings import Settings
from arqueduct_backend.live.limits import Limits
from tests.integration import live_server
from tests.integration.backend import client_of, problem, services_of, serving
from tests.integration.live_server import closed, snapshot
from tests.integration.people import join
from tests.integration.signing_in import BETTER, bearer, login, me_of, refresh

OLD, NEW = "old-" + "0123456789abcdefghijklmnopqrstuv", "new-" + "0123456789abcdefghijklmnopqrstuv"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Any]:
    """Of the tables: changes behind the API's back, and reads what it may not."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


@pytest.fixture
async def nobody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any proof."""
    async with client_of(app) as client:
        yield client


async def lines(owner: Any, action: str) -> list[tuple[Any, ...]]:
    rows = await owner.fetch("SELECT * FROM audit_log WHERE action = $1 ORDER BY id", action)
    return [(row["outcome"], row["code"], row["tenant_id"], row["user_id"]) for row in rows]


async def test_who_signs_in_works_with_an_access_token(nobody: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    signed_in = await login(nobody, me)
    assert signed_in["user"] == {"id": str(me.user_id), "email": me.email, "name": None}
    assert signed_in["tenant"] == {"id": str(me.tenant_id), "name": "test", "role": "owner"}
    assert (signed_in["token_type"], signed_in["expires_in"], signed_in["other_tenants"]) == ("Bearer", 600, [])
    assert (await nobody.get("/api/v1/documents", headers=bearer(signed_in))).status_code == 200
    about = (await me_of(nobody, signed_in)).json()
    assert about["signed_in_by"]["method"] == "password"
    assert about["signed_in_by"]["session_id"] == signed_in["session_id"]
    assert "owners:write" in about["permissions"]
    assert await lines(owner, "login") == [("done", None, me.tenant_id, me.user_id)]


async def test_the_address_may_be_written_in_any_case(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    assert (await login(nobody, me, email=me.email.upper()))["user"]["id"] == str(me.user_id)


async def test_letters_that_only_look_alike_are_another_address(
    nobody: httpx.AsyncClient, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Any
) -> None:
    """Else one account had as many budgets for guessing as its address has spellings."""
    one = await new_identity()
    await owner.execute("UPDATE users SET email = 'mimi@iris.example' WHERE id = $1", one.user_id)
    for spelled, status in (
        ("MIMI@iris.example", 200),
        ("m\u0130mi@iris.example", 401),
        ("mimi@\u0130ris.example", 401),
    ):
        answer = await nobody.post("/api/v1/auth/login", json={"email": spelled, "password": one.password})
        assert answer.status_code == status, spelled


async def test_a_session_that_is_not_renewed_for_days_is_over(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    signed_in = await login(nobody, me)
    await owner.execute("UPDATE refresh_tokens SET expires_at = now()")
    problem(await refresh(nobody, signed_in["refresh_token"]), 401, "session_over")


async def test_who_calls_with_a_key_hears_so_and_has_no_session(api: httpx.AsyncClient, me: NewIdentity) -> None:
    about = (await api.get("/api/v1/auth/me")).json()
    assert about["signed_in_by"]["method"] == "api_key"
    assert (about["user"]["email"], about["tenant"]["id"]) == (me.email, str(me.tenant_id))
    problem(await api.post("/api/v1/auth/logout"), 409, "no_session")


async def test_unknown_addresses_and_wrong_passwords_get_the_same_answer(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    wrong = await nobody.post("/api/v1/auth/login", json={"email": me.email, "password": "not it"})
    unknown = await nobody.post("/api/v1/auth/login", json={"email": "x@y.example", "password": "not it"})
    bodies = [problem(answer, 401, "wrong_credentials") for answer in (wrong, unknown)]
    assert bodies[0] | {"request_id": ""} == bodies[1] | {"request_id": ""}
    assert await lines(owner, "login") == [
        ("denied", "wrong_credentials", me.tenant_id, me.user_id),
        ("denied", "wrong_credentials", None, None),
    ]


async def test_unknown_addresses_cost_the_same_work(
    app: FastAPI, nobody: httpx.AsyncClient, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []
    really = Passwords.verify

    async def counted(self: Passwords, password: str, hashed: str | None) -> bool:
        checked.append(hashed is not None)
        return await really(self, password, hashed)

    monkeypatch.setattr(Passwords, "verify", counted)
    for email in (me.email, "x@y.example"):
        await nobody.post("/api/v1/auth/login", json={"email": email, "password": "not it"})
    assert checked == [True, False]


@pytest.mark.parametrize(
    "body",
    [
        {"email": "a\u0000@b.example", "password": "x"},
        {"email": "\ud800@b.example", "password": "x"},
        {"email": "a@b.example", "password": ""},
        {"email": "a@b.example", "password": "x" * 2000},
        {"email": "a@b.example", "password": "x", "role": "owner"},
        {"email": "a@b.example", "password": "x", "tenant_id": "' OR 1=1 --"},
    ],
    ids=["nul", "half a character", "no password", "huge password", "more than asked", "no id"],
)
async def test_what_is_no_login_is_refused_at_the_rim(nobody: httpx.AsyncClient, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    answer = await nobody.post("/api/v1/auth/login", content=content, headers={"Content-Type": "application/json"})
    problem(answer, 422, "invalid_request")
    assert "x" * 100 not in answer.text


async def test_a_password_with_any_character_is_only_wrong(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    answer = await nobody.post("/api/v1/auth/login", json={"email": me.email, "password": "\u0000' OR 1=1 --"})
    problem(answer, 401, "wrong_credentials")


async def test_who_belongs_to_two_tenants_chooses(
    nobody: httpx.AsyncClient, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Any
) -> None:
    other, foreign = await new_identity(), await new_identity()
    await owner.execute(
        "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'viewer')", other.tenant_id, me.user_id
    )
    first = await login(nobody, me)
    assert first["tenant"]["id"] == str(me.tenant_id)
    assert [(place["id"], place["role"]) for place in first["other_tenants"]] == [(str(other.tenant_id), "viewer")]
    second = await login(nobody, me, tenant_id=str(other.tenant_id))
    assert second["tenant"]["role"] == "viewer"
    assert (await nobody.delete(f"/api/v1/documents/{me.user_id}", headers=bearer(second))).status_code == 403
    credentials = {"email": me.email, "password": me.password}
    wrong = await nobody.post("/api/v1/auth/login", json={**credentials, "tenant_id": str(foreign.tenant_id)})
    problem(wrong, 404, "not_found")


async def test_a_refresh_token_is_good_once_and_each_renewal_brings_the_next(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    first = await login(nobody, me)
    second = (await refresh(nobody, first["refresh_token"])).json()
    third = (await refresh(nobody, second["refresh_token"])).json()
    assert {first["session_id"], second["session_id"], third["session_id"]} == {first["session_id"]}
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    assert (await me_of(nobody, third)).status_code == 200
    assert await lines(owner, "refresh") == [("done", None, me.tenant_id, me.user_id)] * 2
    kept = [row["token_hash"] for row in await owner.fetch("SELECT token_hash FROM refresh_tokens")]
    assert key_hash(third["refresh_token"]) in kept


async def test_a_refresh_token_that_comes_again_ends_its_session(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    mine, elsewhere = await login(nobody, me), await login(nobody, me)
    next_one = (await refresh(nobody, mine["refresh_token"])).json()
    problem(await refresh(nobody, mine["refresh_token"]), 401, "refresh_token_reused")
    problem(await refresh(nobody, next_one["refresh_token"]), 401, "session_over")
    for stolen in (mine, next_one):
        problem(await me_of(nobody, stolen), 401, "session_over")
    assert (await me_of(nobody, elsewhere)).status_code == 200
    assert ("denied", "refresh_token_reused", me.tenant_id, me.user_id) in await lines(owner, "refresh")
    metrics = (await nobody.get("/metrics")).text
    assert "arqueduct_refresh_tokens_reused_total" in metrics


async def test_of_many_renewals_at_once_one_succeeds_and_the_session_ends(
    nobody: httpx.AsyncClient, me: NewIdentity
) -> None:
    """Nobody can tell which of them was the thief."""
    mine = await login(nobody, me)
    answers = await asyncio.gather(*(refresh(nobody, mine["refresh_token"]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
    problem(await me_of(nobody, mine), 401, "session_over")


async def test_a_refresh_token_nobody_knows_is_refused(nobody: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    problem(await refresh(nobody, "aq_refresh_x"), 401, "session_over")
    problem(await refresh(nobody, me.api_key), 401, "session_over")
    assert await lines(owner, "refresh") == [("denied", "session_over", None, None)] * 2


async def test_a_refresh_token_proves_nothing_by_itself(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    signed_in = await login(nobody, me)
    headers = {"Authorization": f"Bearer {signed_in['refresh_token']}"}
    problem(await nobody.get("/api/v1/auth/me", headers=headers), 401, "not_authenticated")


async def test_an_access_token_is_not_taken_as_an_api_key(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    signed_in = await login(nobody, me)
    headers = {"X-API-Key": signed_in["access_token"]}
    problem(await nobody.get("/api/v1/auth/me", headers=headers), 401, "not_authenticated")


async def test_signing_out_ends_this_session_only(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    here, there = await login(nobody, me), await login(nobody, me)
    assert (await nobody.post("/api/v1/auth/logout", headers=bearer(here))).status_code == 204
    problem(await me_of(nobody, here), 401, "session_over")
    problem(await refresh(nobody, here["refresh_token"]), 401, "session_over")
    assert (await me_of(nobody, there)).status_code == 200


async def test_signing_out_everywhere_ends_them_all_and_leaves_keys(
    nobody: httpx.AsyncClient, api: httpx.AsyncClient, me: NewIdentity
) -> None:
    here, there = await login(nobody, me), await login(nobody, me)
    answer = await nobody.post("/api/v1/auth/logout-everywhere", headers=bearer(here))
    assert answer.json() == {"ended": 2}
    for session in (here, there):
        problem(await me_of(nobody, session), 401, "session_over")
        problem(await refresh(nobody, session["refresh_token"]), 401, "session_over")
    assert (await api.get("/api/v1/auth/me")).status_code == 200


async def test_sessions_are_listed_and_ended_one_by_one(nobody: httpx.AsyncClient, me: NewIdentity) -> None:
    there, here = await login(nobody, me), await login(nobody, me)
    page = (await nobody.get("/api/v1/auth/sessions", headers=bearer(here), params={"limit": 1})).json()
    assert [(item["id"], item["is_current"]) for item in page["items"]] == [(here["session_id"], True)]
    cursor = {"cursor": page["next_cursor"]}
    rest = (await nobody.get("/api/v1/auth/sessions", headers=bearer(here), params=cursor)).json()
    assert [(item["id"], item["is_current"]) for item in rest["items"]] == [(there["session_id"], False)]
    path = f"/api/v1/auth/sessions/{there['session_id']}"
    assert (await nobody.delete(path, headers=bearer(here))).status_code == 204
    problem(await nobody.delete(path, headers=bearer(here)), 404, "not_found")
    problem(await me_of(nobody, there), 401, "session_over")


async def test_a_colleague_does_not_end_my_session(nobody: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    mine = await login(nobody, me)
    hashed = await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", me.user_id)
    colleague = await join(owner, me.tenant_id, "owner")
    await owner.execute("UPDATE users SET password_hash = $2 WHERE id = $1", colleague.user_id, hashed)
    theirs = await login(nobody, me, email=colleague.email)
    answer = await nobody.delete(f"/api/v1/auth/sessions/{mine['session_id']}", headers=bearer(theirs))
    problem(answer, 404, "not_found")
    assert (await me_of(nobody, mine)).status_code == 200


async def test_a_role_and_what_it_may_change_at_once(nobody: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    signed_in = await login(nobody, me)
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1", me.user_id)
    refused = await nobody.delete(f"/api/v1/documents/{me.user_id}", headers=bearer(signed_in))
    problem(refused, 403, "forbidden")
    assert (await me_of(nobody, signed_in)).json()["tenant"]["role"] == "viewer"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET disabled_at = now() WHERE id = $1",
        "DELETE FROM memberships WHERE user_id = $1",
        "UPDATE sessions SET expires_at = now() WHERE user_id = $1",
    ],
    ids=["disabled", "no member any more", "session too old"],
)
async def test_a_session_is_worth_nothing_once_its_person_is(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any, statement: str
) -> None:
    signed_in = await login(nobody, me)
    await owner.execute(statement, me.user_id)
    problem(await me_of(nobody, signed_in), 401, "session_over")
    problem(await refresh(nobody, signed_in["refresh_token"]), 401, "session_over")


@pytest.mark.parametrize("claim", ["tenant_id", "user_id"])
async def test_a_token_that_names_another_tenant_or_user_than_its_session_is_refused(
    app: FastAPI,
    nobody: httpx.AsyncClient,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    claim: str,
) -> None:
    signed_in = await login(nobody, me)
    tokens, other = services_of(app).access_tokens, await new_identity()
    true = tokens.read(signed_in["access_token"])
    ids = {"user_id": true.user_id, "tenant_id": true.tenant_id, claim: getattr(other, claim)}
    mixed, _ = tokens.issue(**ids, session_id=true.session_id, until=true.expires_at)
    problem(await me_of(nobody, {"access_token": mixed}), 401, "session_over")


async def test_an_access_token_that_is_over_says_how_to_go_on(settings: Settings, me: NewIdentity) -> None:
    short = settings.model_copy(update={"access_token_seconds": -60})
    async with serving(short) as app, client_of(app) as client:
        signed_in = await login(client, me)
        told = problem(await me_of(client, signed_in), 401, "access_token_expired")
        assert "/auth/refresh" in told["advice"]


async def test_a_change_of_keys_signs_nobody_out(settings: Settings, me: NewIdentity) -> None:
    before = settings.model_copy(update={"secret_keys": SecretStr(OLD)})
    after = settings.model_copy(update={"secret_keys": SecretStr(f"{NEW},{OLD}")})
    without = settings.model_copy(update={"secret_keys": SecretStr(NEW)})
    async with serving(before) as app, client_of(app) as client:
        old = await login(client, me)
    async with serving(after) as app, client_of(app) as client:
        assert (await me_of(client, old)).status_code == 200
        new = (await refresh(client, old["refresh_token"])).json()
    async with serving(without) as app, client_of(app) as client:
        assert (await me_of(client, new)).status_code == 200
        problem(await me_of(client, old), 401, "not_authenticated")


@pytest.mark.parametrize("way", ["header", "subprotocol", "first message", "ticket"])
async def test_a_socket_opens_with_an_access_token(settings: Settings, me: NewIdentity, way: str) -> None:
    async with live_server.serving(settings) as server, server.http() as http:
        signed_in = (await http.post("/auth/login", json={"email": me.email, "password": me.password})).json()
        token, path, options = signed_in["access_token"], "/ws", dict[str, Any]()
        if way == "header":
            options["additional_headers"] = bearer(signed_in)
        elif way == "subprotocol":
            options["subprotocols"] = [Subprotocol("arqueduct.v1"), Subprotocol(f"bearer.{token}")]
        elif way == "ticket":
            ticket = (await http.post("/ws/tickets", headers=bearer(signed_in))).json()["ticket"]
            path = f"/ws?ticket={ticket}"
        async with connect(server.url(path), **options) as client:
            if way == "first message":
                await client.send(json.dumps({"type": "auth", "token": token}))
            assert await snapshot(client) == []


async def test_signing_out_closes_the_sockets_of_the_session(settings: Settings, me: NewIdentity) -> None:
    async with live_server.serving(settings, Limits(recheck=0.05)) as server, server.http() as http:
        signed_in = (await http.post("/auth/login", json={"email": me.email, "password": me.password})).json()
        async with connect(server.url(), additional_headers=bearer(signed_in)) as client:
            await snapshot(client)
            assert (await http.post("/auth/logout", headers=bearer(signed_in))).status_code == 204
            assert await closed(client) == 4401


async def test_guessing_at_one_account_is_slowed_down(settings: Settings, me: NewIdentity) -> None:
    strict = settings.model_copy(update={"sign_ins_per_account": 3})
    async with serving(strict) as app, client_of(app) as client:
        guess = {"email": me.email, "password": "not it"}
        stolen = bearer(await login(client, me))
        answers = [await client.post("/api/v1/auth/login", json=guess) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        refused = await client.post("/api/v1/auth/login", json={"email": me.email, "password": me.password})
        problem(refused, 429, "rate_limited")
        change = {"old_password": me.password, "new_password": BETTER}
        problem(await client.post("/api/v1/auth/password", json=change, headers=stolen), 429, "rate_limited")


async def test_no_secret_is_answered_twice_or_written_down(
    nobody: httpx.AsyncClient, me: NewIdentity, owner: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    signed_in = await login(nobody, me)
    await refresh(nobody, signed_in["refresh_token"])
    await nobody.post("/api/v1/auth/login", json={"email": me.email, "password": "wrong but private"})
    tables = ("audit_log", "sessions", "kept_answers")
    kept = [str(await owner.fetch(f"SELECT t::text FROM {table} t")) for table in tables]
    said = "".join(capfd.readouterr()) + "".join(kept)
    for secret in (me.password, signed_in["access_token"], signed_in["refresh_token"], "wrong but private"):
        assert secret not in said


async def test_the_example_of_the_documentation_runs(
    settings: Settings, me: NewIdentity, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "signing-in.md"
    example = page.read_text().split("```python\n")[1].split("```")[0]
    async with live_server.serving(settings) as server:
        monkeypatch.setenv("ARQUEDUCT_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("EMAIL", me.email)
        monkeypatch.setenv("PASSWORD", me.password)
        await asyncio.to_thread(exec, compile(example, page, "exec"), {})
    assert me.email in capsys.readouterr().out.splitlines()
