"""API keys: made, shown once, changed, revoked – and none is wider than who makes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from arqueduct.identity import NewIdentity
from arqueduct.permissions import ROLES, Role
from arqueduct.settings import Settings
from tests.integration.backend import client_of, problem
from tests.integration.many_jobs import Owner, owning
from tests.integration.people import NOTHING, join, lines, with_key

KEYS = "/api/v1/keys"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def made(api: httpx.AsyncClient, **asked: Any) -> Any:
    answer = await api.post(KEYS, json={"name": "a key", **asked})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    new = await made(api, name="laptop")
    key, secret = new["key"], new["api_key"]
    assert secret.startswith("aq_")
    assert len(secret) == 3 + 43
    assert secret.startswith(key["prefix"])
    assert key["last_used_at"] is None
    async with client_of(app) as other:
        other.headers["Authorization"] = f"Bearer {secret}"
        listed = await other.get(KEYS)
        assert [one["name"] for one in listed.json()["items"]] == ["laptop", "first key"]
        assert secret not in listed.text
        assert listed.json()["items"][0]["last_used_at"]
        assert (await api.delete(f"{KEYS}/{key['id']}")).status_code == 204
        problem(await other.get(KEYS), 401, "not_authenticated")
    problem(await api.delete(f"{KEYS}/{key['id']}"), 404, "not_found")
    problem(await api.patch(f"{KEYS}/{key['id']}", json={"name": "x"}), 404, "not_found")
    assert (await api.get(KEYS)).json()["items"][0]["revoked_at"]
    done = [action for action, outcome, _ in await lines(owner, me.tenant_id) if outcome == "done"]
    assert done == ["create_key", "revoke_key"]


async def test_a_key_ends_by_itself(app: FastAPI, api: httpx.AsyncClient, owner: Owner) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    new = await made(api, expires_at=soon)
    async with client_of(app) as other:
        other.headers["X-API-Key"] = new["api_key"]
        assert (await other.get(KEYS)).status_code == 200
        await owner.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", UUID(new["key"]["id"]))
        problem(await other.get(KEYS), 401, "not_authenticated")
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    problem(await api.post(KEYS, json={"name": "late", "expires_at": past}), 422, "invalid_request")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"name": ""},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "expires_at": "2999-01-01T00:00:00"},
        {"name": "x", "requests_per_minute": 0},
        {"name": "x", "tenant_id": NOTHING},
        {"name": "x", "role": "owner"},
    ],
    ids=["nothing", "no-name", "no-scope", "no-zone", "no-requests", "tenant", "role"],
)
async def test_a_wrong_key_is_refused(api: httpx.AsyncClient, asked: dict[str, object]) -> None:
    problem(await api.post(KEYS, json=asked), 422, "invalid_request")


async def test_a_limited_key_makes_no_wider_one(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    limited = await with_key(owner, me, ["keys:own", "documents:read"])
    async with client_of(app, limited) as api:
        problem(await api.post(KEYS, json={"name": "wider", "scopes": ["documents:write"]}), 403, "forbidden")
        narrow = await made(api, scopes=["documents:read"])
        same = await made(api)
    assert narrow["key"]["scopes"] == ["documents:read"]
    assert same["key"]["scopes"] == ["documents:read", "keys:own", "self"]


async def test_a_role_that_lacks_a_permission_makes_no_key_with_it(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    async with client_of(app, await join(owner, me.tenant_id, "viewer")) as api:
        problem(await api.post(KEYS, json={"name": "k", "scopes": ["audit:read"]}), 403, "forbidden")
        problem(await api.post(KEYS, json={"name": "k", "requests_per_minute": 1000}), 403, "forbidden")
        problem(await api.post(KEYS, json={"name": "k", "user_id": str(me.user_id)}), 403, "forbidden")
        assert (await made(api))["key"]["scopes"] == []


async def test_a_key_lasts_no_longer_than_the_one_it_is_made_with(app: FastAPI, me: NewIdentity, owner: Owner) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    short = await with_key(owner, me, expires_at=end, requests_per_minute=5)
    async with client_of(app, short) as api:
        later = (end + timedelta(seconds=1)).isoformat()
        problem(await api.post(KEYS, json={"name": "longer", "expires_at": later}), 403, "forbidden")
        new = (await made(api))["key"]
    assert datetime.fromisoformat(new["expires_at"]) == end
    assert new["requests_per_minute"] == 5
    async with client_of(app, await with_key(owner, me, requests_per_minute=2_000_000)) as api:
        assert (await made(api))["key"]["requests_per_minute"] is None  # or keys would add up to any rate


async def test_keys_for_somebody_else_are_for_those_who_may_as_much(
    app: FastAPI, me: NewIdentity, owner: Owner
) -> None:
    admin, editor = await join(owner, me.tenant_id, "admin"), await join(owner, me.tenant_id, "editor")
    async with client_of(app, admin) as api:
        problem(await api.post(KEYS, json={"name": "k", "user_id": str(me.user_id)}), 403, "forbidden")
        problem(await api.post(KEYS, json={"name": "k", "user_id": NOTHING}), 404, "not_found")
        new = await made(api, user_id=str(editor.user_id))
    assert new["key"]["user_id"] == str(editor.user_id)
    limited = await with_key(owner, admin, ["keys:all", "keys:own"])
    async with client_of(app, limited) as api:
        problem(await api.post(KEYS, json={"name": "k", "user_id": str(editor.user_id)}), 403, "forbidden")
    # The editor becomes an owner: the admin's key for him does not.
    await owner.execute("UPDATE memberships SET role = 'owner' WHERE user_id = $1", editor.user_id)
    async with client_of(app) as api:
        api.headers["X-API-Key"] = new["api_key"]
        problem(await api.patch("/api/v1/tenant", json={"name": "mine"}), 403, "forbidden")
        problem(await api.get("/api/v1/audit"), 403, "forbidden")
        assert (await api.get("/api/v1/documents")).status_code == 200
    assert set(new["key"]["scopes"]) == ROLES[Role.EDITOR]


async def test_keys_of_others_are_not_found_without_the_permission(
    app: FastAPI, api: httpx.AsyncClient, stranger: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    mine = (await made(api))["key"]["id"]
    editor = await join(owner, me.tenant_id, "editor")
    async with client_of(app, editor) as other:
        for outsider in (other, stranger):
            problem(await outsider.patch(f"{KEYS}/{mine}", json={"name": "x"}), 404, "not_found")
            problem(await outsider.delete(f"{KEYS}/{mine}"), 404, "not_found")
        problem(await other.get(KEYS, params={"all": True}), 403, "forbidden")
        assert {one["user_id"] for one in (await other.get(KEYS)).json()["items"]} == {str(editor.user_id)}
    seen = (await api.get(KEYS, params={"all": True})).json()["items"]
    assert {one["user_id"] for one in seen} == {str(me.user_id), str(editor.user_id)}
    assert (await stranger.get(KEYS, params={"all": True})).json()["items"][0]["user_id"] not in str(seen)
    of_editor = next(one["id"] for one in seen if one["user_id"] == str(editor.user_id))
    assert (await api.delete(f"{KEYS}/{of_editor}")).status_code == 204


async def test_a_key_gets_another_name_and_another_rate(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    address = f"{KEYS}/{(await made(api, requests_per_minute=1000))['key']['id']}"
    named = (await api.patch(address, json={"name": "import"})).json()
    assert (named["name"], named["requests_per_minute"]) == ("import", 1000)
    assert (await api.patch(address, json={"requests_per_minute": None})).json()["requests_per_minute"] is None
    wrongs: list[dict[str, Any]] = [{}, {"name": None}, {"scopes": []}, {"requests_per_minute": 0}]
    for wrong in wrongs:
        problem(await api.patch(address, json=wrong), 422, "invalid_request")
    editor = await join(owner, me.tenant_id, "editor")
    async with client_of(app, editor) as other:
        own = f"{KEYS}/{(await other.get(KEYS)).json()['items'][0]['id']}"
        assert (await other.patch(own, json={"name": "mine"})).json()["name"] == "mine"
        problem(await other.patch(own, json={"requests_per_minute": 1000}), 403, "forbidden")


async def test_keys_are_listed_in_pages(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await made(api, name=f"key {number}")
    first = (await api.get(KEYS, params={"limit": 2})).json()
    await made(api, name="meanwhile")
    second = (await api.get(KEYS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    names = [one["name"] for one in first["items"] + second["items"]]
    assert names == ["key 2", "key 1", "key 0", "first key"]
    assert second["next_cursor"] is None
    problem(await api.get("/api/v1/members", params={"cursor": first["next_cursor"]}), 422, "invalid_cursor")


async def test_a_secret_is_not_kept_for_a_request_that_is_sent_again(api: httpx.AsyncClient, owner: Owner) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await api.post(KEYS, json={"name": "k"}, headers=headers)
    again = await api.post(KEYS, json={"name": "k"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 409)
    kept = str([tuple(row) for row in await owner.fetch("SELECT * FROM kept_answers")])
    assert first.json()["api_key"] not in kept
    assert len((await api.get(KEYS)).json()["items"]) == 2


async def test_an_admin_leaves_the_keys_of_owners_alone(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    address = f"{KEYS}/{(await made(api))['key']['id']}"
    async with client_of(app, await join(owner, me.tenant_id, "admin")) as admin:
        problem(await admin.patch(address, json={"requests_per_minute": 1}), 403, "forbidden")
        problem(await admin.delete(address), 403, "forbidden")
    assert (await api.get(KEYS)).json()["items"][0]["revoked_at"] is None
