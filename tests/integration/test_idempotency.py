"""A request that is sent again with its idempotency key is answered again, and does nothing twice."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from arqueduct.database import Driver
from arqueduct.identity import NewIdentity
from arqueduct.repositories import kept_answers
from arqueduct.repositories.kept_answers import Claim
from arqueduct.settings import Settings
from arqueduct_backend.api import permissions_of
from arqueduct_backend.idempotency import Always, Once
from arqueduct_backend.main import ROUTERS
from arqueduct_worker.housekeeping import Housekeeping
from tests.integration.backend import client_of, problem, services_of, upload
from tests.integration.file_sets import SETS, make, parts
from tests.integration.worker import TestWorker

FILE = b"# Water\n\nIt flows.\n"
KEY = {"Idempotency-Key": "6f1f3a0e-8f1c-4a53-9a0e-4f5d7c3b2a10"}
UPLOAD = "/api/v1/documents"
REPEATABLE = {
    "accept_invitation",
    "change_password",
    "create_ticket",
    "finish_oidc",
    "login",
    "logout",
    "logout_everywhere",
    "refresh",
    "reset_password",
    "search_passages",
    "validate_profile",
}
"""They create nothing, or their tokens are good for one use: a POST that takes no key."""


@pytest.fixture
async def owner(settings: Settings) -> Any:
    """May do what no role that serves may: make answers old."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def send(api: httpx.AsyncClient, content: bytes = FILE, name: str = "water.md", **more: Any) -> httpx.Response:
    return await api.post(UPLOAD, files={"file": (name, content)}, **({"headers": KEY} | more))


async def count(owner: Driver, table: str = "documents") -> int:
    found: int = await owner.fetchval(f"SELECT count(*) FROM {table}")
    return found


def claim_of(me: NewIdentity, number: int = 0) -> Claim:
    return Claim(tenant_id=me.tenant_id, user_id=me.user_id, key=KEY["Idempotency-Key"], number=number)


def test_every_post_that_changes_something_takes_a_key() -> None:
    without = set()
    for route in (route for routers in ROUTERS.values() for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and "POST" in route.methods:
            asked = [found.dependency for found in route.dependencies]
            assert permissions_of(route) or not any(isinstance(found, Once) for found in asked)
            if not permissions_of(route) or any(isinstance(found, Always) for found in asked):
                without.add(route.name)
    assert without == REPEATABLE


async def test_an_upload_sent_again_is_answered_again(api: httpx.AsyncClient, owner: Driver) -> None:
    first, second = await send(api), await send(api)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.content == first.content
    for name in ("location", "retry-after", "content-type"):
        assert second.headers[name] == first.headers[name]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert (await count(owner), await count(owner, "audit_log")) == (1, 1)


async def test_an_upload_into_a_set_is_answered_again_though_the_set_is_closed_or_gone(api: httpx.AsyncClient) -> None:
    made, sent = await make(api), parts([("rhine.md", b"# The Rhine")])
    first = await api.post(f"{SETS}/{made['id']}/files", files=sent, headers=KEY)
    assert first.status_code == 200, first.text
    for method, path in (("POST", "/archive"), ("DELETE", "")):
        assert (await api.request(method, f"{SETS}/{made['id']}{path}")).is_success
        again = await api.post(f"{SETS}/{made['id']}/files", files=sent, headers=KEY)
        assert (again.status_code, again.content) == (200, first.content)
    problem(await api.post(f"{SETS}/{made['id']}/files", files=sent), 404, "not_found")


async def test_without_a_key_the_same_upload_is_another_document(api: httpx.AsyncClient, owner: Driver) -> None:
    await upload(api)
    await upload(api)
    assert (await count(owner), await count(owner, "kept_answers")) == (2, 0)


@pytest.mark.parametrize(
    "other",
    [{"content": b"other"}, {"name": "other.md"}, {"params": {"priority": "bulk"}}],
    ids=["content", "name", "query"],
)
async def test_a_key_is_good_for_one_upload(api: httpx.AsyncClient, owner: Driver, other: dict[str, Any]) -> None:
    await send(api)
    problem(await send(api, **other), 422, "idempotency_key_reused")
    assert await count(owner) == 1


async def test_a_key_is_good_for_one_route_and_one_body(api: httpx.AsyncClient) -> None:
    job = (await upload(api))["job"]["id"]
    selection = {"ids": [job], "states": ["queued"]}
    assert (await api.post("/api/v1/jobs/pause", json=selection, headers=KEY)).json()["changed"] == 1
    for path, body in {"pause": {"ids": [job]}, "resume": selection}.items():
        problem(await api.post(f"/api/v1/jobs/{path}", json=body, headers=KEY), 422, "idempotency_key_reused")
    problem(await api.post(f"/api/v1/jobs/{job}/resume", headers=KEY), 422, "idempotency_key_reused")
    reordered = b'{"states" : ["queued"],\n "ids": ["%b"]}' % job.encode()
    again = await api.post("/api/v1/jobs/pause", content=reordered, headers={**KEY, "Content-Type": "application/json"})
    assert (again.json()["changed"], again.headers["idempotency-replayed"]) == (1, "true")


async def test_an_action_is_answered_as_it_was_the_first_time(api: httpx.AsyncClient, owner: Driver) -> None:
    job = (await upload(api))["job"]["id"]
    first = await api.post(f"/api/v1/jobs/{job}/pause", headers=KEY)
    await api.post(f"/api/v1/jobs/{job}/resume")
    second = await api.post(f"/api/v1/jobs/{job}/pause", headers=KEY)
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert (await api.get(f"/api/v1/jobs/{job}")).json()["state"] == "queued"


async def test_an_accepted_action_keeps_its_headers(api: httpx.AsyncClient) -> None:
    job = (await upload(api))["job"]["id"]
    await api.post(f"/api/v1/jobs/{job}/pause")
    answers = [await api.post(f"/api/v1/jobs/{job}/resume", headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[1].headers["location"] == answers[0].headers["location"] == f"/api/v1/jobs/{job}"
    assert answers[1].content == answers[0].content


async def test_a_refusal_is_answered_again_too(api: httpx.AsyncClient) -> None:
    job = (await upload(api))["job"]["id"]
    refused = await api.post(f"/api/v1/jobs/{job}/resume", headers=KEY)
    problem(refused, 409, "illegal_transition")
    await api.post(f"/api/v1/jobs/{job}/pause")
    again = await api.post(f"/api/v1/jobs/{job}/resume", headers=KEY)
    assert (again.status_code, again.content) == (409, refused.content)
    assert again.headers["content-type"] == "application/problem+json"


async def test_keys_of_others_are_other_keys(
    app: FastAPI, api: httpx.AsyncClient, stranger: httpx.AsyncClient, owner: Driver
) -> None:
    mine, theirs = (await send(api)).json(), (await send(stranger)).json()
    assert mine["document"]["id"] != theirs["document"]["id"]
    assert await count(owner) == 2


async def test_who_may_no_longer_do_it_hears_nothing_of_the_answer(
    api: httpx.AsyncClient, me: NewIdentity, owner: Driver
) -> None:
    await send(api)
    await owner.execute("UPDATE memberships SET role = 'viewer' WHERE user_id = $1", me.user_id)
    problem(await send(api), 403, "forbidden")


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä".encode("latin-1")], ids=str)
async def test_a_malformed_key_is_refused(api: httpx.AsyncClient, owner: Driver, key: str) -> None:
    answer = await send(api, headers={"Idempotency-Key": key})
    (field,) = problem(answer, 422, "invalid_request")["errors"]
    assert (field["in"], field["parameter"]) == ("header", "Idempotency-Key")
    assert await count(owner) == 0


async def test_many_at_once_do_it_once(api: httpx.AsyncClient, owner: Driver) -> None:
    answers = await asyncio.gather(*(send(api) for _ in range(8)))
    assert await count(owner) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    made = {answer.json()["document"]["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    for answer in answers:
        if answer.status_code == 409:
            problem(answer, 409, "idempotency_in_flight")
            assert int(answer.headers["retry-after"]) >= 1


async def test_an_answer_with_a_secret_is_not_kept(api: httpx.AsyncClient, owner: Driver) -> None:
    first = await api.post("/api/v1/keys", json={"name": "mine"}, headers=KEY)
    assert first.status_code == 201, first.text
    problem(await api.post("/api/v1/keys", json={"name": "mine"}, headers=KEY), 409, "idempotency_answer_not_kept")
    row = await owner.fetchrow("SELECT * FROM kept_answers")
    assert row
    assert (row["status"], row["headers"], row["body"]) == (0, None, None)
    assert await count(owner, "api_keys") == 2


async def test_an_answer_is_kept_for_a_day(api: httpx.AsyncClient, owner: Driver, api_worker: TestWorker) -> None:
    first = (await send(api)).json()
    await owner.execute("UPDATE kept_answers SET created_at = created_at - interval '23 hours 59 minutes'")
    await Housekeeping(api_worker.services).prune()
    assert (await send(api)).json() == first
    await owner.execute("UPDATE kept_answers SET created_at = created_at - interval '2 minutes'")
    second = (await send(api)).json()
    assert second["document"]["id"] != first["document"]["id"], "what is too old counts no more, pruned or not"
    await owner.execute("UPDATE kept_answers SET created_at = created_at - interval '25 hours'")
    await Housekeeping(api_worker.services).prune()
    assert await count(owner, "kept_answers") == 0


async def test_a_claim_of_another_tenant_is_out_of_reach(
    app: FastAPI, me: NewIdentity, api: httpx.AsyncClient, new_identity: Any
) -> None:
    await send(api)
    other: NewIdentity = await new_identity()
    async with services_of(app).database.transaction(other.tenant_id) as transaction:
        await kept_answers.finish(transaction.driver, claim_of(me))
        assert await transaction.driver.fetchval("SELECT count(*) FROM kept_answers") == 0
    async with client_of(app, me) as mine:
        assert (await send(mine)).headers["idempotency-replayed"] == "true"


async def test_the_key_belongs_to_whoever_has_the_same_user(api: httpx.AsyncClient, owner: Driver) -> None:
    """Two keys of one user are one user: a client may renew its key between two tries."""
    made = (await api.post("/api/v1/keys", json={"name": "second"})).json()
    first = (await send(api)).json()
    again = await send(api, headers={**KEY, "Authorization": f"Bearer {made['api_key']}"})
    assert again.json() == first
    assert UUID(first["job"]["id"])
