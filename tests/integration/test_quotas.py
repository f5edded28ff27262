"""Nobody has more than he may, however many ask at once; and what is counted is what is there."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.repositories import quotas
from arqueduct.repositories.quotas import Limits
from arqueduct.settings import Settings
from arqueduct_worker.sweeper import Sweeper
from tests.integration.backend import ingest, problem, stored_files, upload
from tests.integration.many_jobs import Owner, insert_many, owning
from tests.integration.test_family_life import statements_of
from tests.integration.worker import TestWorker

RECOUNT = """
    SELECT tenant_id, user_id, count(*)::bigint AS documents,
        coalesce(sum(size) FILTER (WHERE original_removed_at IS NULL), 0)::bigint AS bytes
    FROM documents WHERE deleted_at IS NULL GROUP BY tenant_id, user_id ORDER BY 1, 2
"""
COUNTED = """
    SELECT tenant_id, user_id, sum(documents)::bigint AS documents, sum(bytes)::bigint AS bytes FROM (
        SELECT tenant_id, user_id, documents, bytes FROM usage
        UNION ALL SELECT tenant_id, user_id, documents, bytes FROM usage_changes
    ) u GROUP BY tenant_id, user_id HAVING sum(documents) <> 0 OR sum(bytes) <> 0 ORDER BY 1, 2
"""


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as opened:
        yield opened


async def send(api: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await api.post("/api/v1/documents", files={"file": ("a.txt", content)})


async def test_a_tenant_has_no_more_documents_than_it_may(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, settings: Settings
) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(documents=1))
    await upload(api, b"one", "one.txt")
    before = await stored_files(settings)
    refused = problem(await send(api, b"two"), 403, "quota_exceeded")
    told = {name: refused[name] for name in ("quota", "limit", "used", "wanted", "scope")}
    assert told == {"quota": "documents", "limit": 1, "used": 1, "wanted": 1, "scope": "tenant"}
    assert await stored_files(settings) == before


async def test_bytes_count_however_often_they_are_shared(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(bytes=10))
    await upload(api, b"12345", "a.txt")
    await upload(api, b"12345", "b.txt")
    assert problem(await send(api, b"1"), 403, "quota_exceeded")["quota"] == "bytes"


async def test_a_user_may_have_less_than_the_tenant(api: httpx.AsyncClient, me: NewIdentity) -> None:
    await api.put("/api/v1/quotas/users", json={"documents": 1})
    await upload(api)
    assert problem(await send(api, b"two"), 403, "quota_exceeded")["scope"] == "user"
    await api.put(f"/api/v1/quotas/users/{me.user_id}", json={"documents": 2})
    await upload(api, b"two", "two.txt")
    shown = (await api.get("/api/v1/quotas")).json()
    assert shown["users"] == [{"user_id": str(me.user_id), "documents": 2, "bytes": None, "jobs": None}]
    await api.delete(f"/api/v1/quotas/users/{me.user_id}")
    problem(await send(api, b"three"), 403, "quota_exceeded")


async def test_a_quota_of_somebody_unknown_cannot_be_set(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    nobody = "01890000-0000-7000-8000-000000000000"
    problem(await api.put(f"/api/v1/quotas/users/{nobody}", json={"jobs": 1}), 404, "not_found")
    me = (await api.get("/api/v1/auth/me")).json()["user"]["id"]
    problem(await stranger.put(f"/api/v1/quotas/users/{me}", json={"jobs": 1}), 404, "not_found")


async def test_a_finished_job_makes_room(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(jobs=1))
    accepted = await upload(api)
    assert problem(await send(api, b"two"), 403, "quota_exceeded")["quota"] == "jobs"
    await api_worker.run(UUID(accepted["job"]["id"]))
    await upload(api, b"two", "two.txt")


async def test_jobs_are_counted_where_they_are_limited_and_not_beyond_the_limit(
    app: FastAPI, api: httpx.AsyncClient, me: NewIdentity, owner: Owner
) -> None:
    await insert_many(owner, me, "queued", 40)
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(bytes=100))
    with statements_of(app) as asked:
        await upload(api, b"one", "one.txt")
    assert any("FROM usage" in statement for statement in asked)
    assert not any("count(*)" in statement and "FROM jobs" in statement for statement in asked)
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(bytes=100, jobs=10))
    refused = problem(await send(api, b"two"), 403, "quota_exceeded")
    assert (refused["quota"], refused["limit"], refused["used"]) == ("jobs", 10, 11)
    assert "at least 11 of 10" in refused["detail"]
    assert (await api.get("/api/v1/usage")).json()["tenant"]["jobs"]["used"] == 41


async def test_what_is_deleted_makes_room(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(documents=1))
    for _ in range(3):
        accepted = await upload(api)
        await api.delete(f"/api/v1/documents/{accepted['document']['id']}")


async def test_usage_tells_what_there_is_and_may_be(
    api: httpx.AsyncClient, api_worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(documents=5))
    await ingest(api, api_worker, b"12345", "a.txt")
    await upload(api, b"123", "b.txt")
    shown = (await api.get("/api/v1/usage")).json()
    assert shown["tenant"] == {
        "documents": {"used": 2, "limit": 5},
        "bytes": {"used": 8, "limit": None},
        "jobs": {"used": 1, "limit": None},
    }
    assert shown["user"]["documents"] == {"used": 2, "limit": None}


@pytest.mark.parametrize("scope", ["tenant", "user"])
async def test_many_who_ask_at_once_get_no_more_than_there_is(
    api: httpx.AsyncClient, me: NewIdentity, owner: Owner, scope: str
) -> None:
    if scope == "tenant":
        await quotas.set_of_tenant(owner, me.tenant_id, Limits(documents=5))
    else:
        await api.put("/api/v1/quotas/users", json={"documents": 5})
    answers = await asyncio.gather(*(send(api, f"number {number}".encode()) for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [403] * 15
    assert await owner.fetchval("SELECT count(*) FROM documents") == 5


async def test_a_tenant_cannot_raise_its_own_quota(app_database: Database, me: NewIdentity, owner: Owner) -> None:
    await quotas.set_of_tenant(owner, me.tenant_id, Limits(documents=5))
    for statement in ("UPDATE tenant_quotas SET documents = 6", "DELETE FROM tenant_quotas"):
        with pytest.raises(Exception, match="permission denied"):
            async with app_database.transaction(me.tenant_id) as transaction:
                await transaction.driver.execute(statement)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "mark", "purge", "strip", "fold"]), st.integers(0, 1), st.integers(0, 9)),
    max_size=30,
)


async def test_what_is_counted_is_what_is_there(counting: "Counting") -> None:
    """Whatever is added, deleted, purged and folded, by several at a time."""

    @given(lanes=st.lists(STEPS, min_size=1, max_size=4))
    @how(max_examples=25, deadline=None)
    def check(lanes: list[list[Step]]) -> None:
        counting.play(lanes)

    await asyncio.to_thread(check)


class Counting:
    """Plays steps in several connections at once, on the loop of the session."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings, who: list[NewIdentity]) -> None:
        self._loop, self._settings, self._who = loop, settings, who

    def play(self, lanes: list[list[Step]]) -> None:
        asyncio.run_coroutine_threadsafe(self._play(lanes), self._loop).result(60)

    async def _play(self, lanes: list[list[Step]]) -> None:
        await asyncio.gather(*(self._lane(steps) for steps in lanes))
        async with owning(self._settings) as owner:
            assert await owner.fetch(COUNTED) == await owner.fetch(RECOUNT)

    async def _lane(self, steps: list[Step]) -> None:
        async with owning(self._settings) as owner:
            for step, whose, amount in steps:
                await _do(owner, step, self._who[whose], amount)


async def _do(owner: Owner, step: str, who: NewIdentity, amount: int) -> None:
    some = "SELECT id FROM documents WHERE user_id = $1 ORDER BY random() LIMIT $2 FOR UPDATE SKIP LOCKED"
    if step == "add":
        await owner.execute(
            """
            WITH blob AS (
                INSERT INTO blobs (id, tenant_id, sha256, size)
                SELECT gen_random_uuid(), $1, gen_random_uuid()::text, $3 RETURNING id
            )
            INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, language)
            SELECT gen_random_uuid(), $1, $2, blob.id, gen_random_uuid(), 'x', 'text/plain', $3, 'x', 'english'
            FROM blob, generate_series(1, $3::int)
            """,
            who.tenant_id,
            who.user_id,
            amount,
        )
    elif step == "fold":
        await owner.fetchval("SELECT fold_usage($1)", amount)
    else:
        change = {
            "mark": "UPDATE documents SET deleted_at = now() WHERE id IN ({some})",
            "strip": "UPDATE documents SET original_removed_at = now() WHERE id IN ({some})",
            "purge": "DELETE FROM documents WHERE id IN ({some})",
        }[step]
        await owner.execute(change.format(some=some), who.user_id, amount)


@pytest.fixture
async def counting(settings: Settings, new_identity: Any) -> Counting:
    return Counting(asyncio.get_running_loop(), settings, [await new_identity(), await new_identity()])


async def test_many_at_once_wait_for_nobody_and_the_sweeper_adds_up(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    async def come_and_go(number: int) -> None:
        accepted = await upload(api, random.randbytes(8).hex().encode(), "a.txt")
        if number % 2:
            await api.delete(f"/api/v1/documents/{accepted['document']['id']}")

    async def sweep() -> None:
        for _ in range(5):
            await Sweeper(api_worker.services).sweep()

    await asyncio.gather(*map(come_and_go, range(20)), sweep())
    assert await owner.fetch(COUNTED) == await owner.fetch(RECOUNT)
    await Sweeper(api_worker.services).sweep()
    assert await owner.fetchval("SELECT count(*) FROM usage_changes") == 0
    assert await owner.fetchval("SELECT documents FROM usage") == 10


async def test_a_tenant_that_is_deleted_takes_its_usage_along(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner, me: NewIdentity
) -> None:
    await upload(api)
    await owner.execute("DELETE FROM tenants WHERE id = $1", me.tenant_id)
    await Sweeper(api_worker.services).sweep()
    assert await owner.fetchval("SELECT count(*) FROM usage") == 0
