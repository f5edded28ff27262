"""Requests with an idempotency key whose process dies, is slow, or loses a server on the way."""

from typing import Any

import httpx
import pytest

from arqueduct.database import Driver
from arqueduct.errors import DependencyUnavailable
from arqueduct.repositories import kept_answers
from tests.integration.backend import problem, services_of, upload
from tests.integration.test_idempotency import KEY, count, owner, send

__all__ = ["owner"]


async def test_a_claim_of_a_process_that_died_is_taken_over_after_a_while(
    api: httpx.AsyncClient, owner: Driver
) -> None:
    await send(api)
    await owner.execute("UPDATE kept_answers SET status = NULL, headers = NULL, body = NULL")
    problem(await send(api), 409, "idempotency_in_flight")
    await owner.execute("UPDATE kept_answers SET claimed_at = claimed_at - $1::interval", kept_answers.PATIENCE)
    problem(await send(api, content=b"another file"), 422, "idempotency_key_reused")
    assert (await send(api)).status_code == 202
    assert await owner.fetchval("SELECT claim FROM kept_answers") == 1


async def test_what_was_carried_out_is_not_carried_out_again_though_its_answer_is_lost(
    api: httpx.AsyncClient, owner: Driver
) -> None:
    await send(api)
    await owner.execute("UPDATE kept_answers SET status = 0, headers = NULL, body = NULL")
    problem(await send(api), 409, "idempotency_in_flight")
    await owner.execute("UPDATE kept_answers SET claimed_at = claimed_at - $1::interval", kept_answers.PATIENCE)
    problem(await send(api), 409, "idempotency_answer_not_kept")
    assert await count(owner) == 1


async def test_who_lost_the_claim_changes_nothing(
    api: httpx.AsyncClient, owner: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process is slow, not dead: its claim is taken over while the bytes go into the storage."""
    put = services_of(api._transport.app).storage.put_file  # type: ignore[attr-defined]  # the ASGI transport of httpx

    async def slow(*arguments: Any) -> None:
        await put(*arguments)
        await owner.execute("UPDATE kept_answers SET claim = claim + 1")

    monkeypatch.setattr("arqueduct.storage.Storage.put_file", lambda _self, *arguments: slow(*arguments))
    problem(await send(api), 409, "idempotency_in_flight")
    assert (await count(owner), await count(owner, "blobs"), await count(owner, "jobs")) == (0, 0, 0)
    assert await owner.fetchval("SELECT status FROM kept_answers") is None, "it belongs to the other one"


async def test_what_fails_for_the_moment_may_be_sent_again_at_once(
    api: httpx.AsyncClient, owner: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DependencyUnavailable("The storage is away.")

    with monkeypatch.context() as broken:
        broken.setattr("arqueduct.storage.Storage.put_file", away)
        problem(await send(api), 503, "dependency_unavailable")
    assert (await send(api)).status_code == 202
    assert await count(owner) == 1


async def test_a_crash_before_the_change_leaves_no_claim(
    api: httpx.AsyncClient, owner: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("arqueduct.storage.Storage.put_file", crash)
        problem(await send(api), 500, "internal_error")
    assert await count(owner, "kept_answers") == 0


async def test_a_failure_after_the_commit_still_has_the_answer(
    api: httpx.AsyncClient, owner: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DependencyUnavailable("Redis is away.")

    with monkeypatch.context() as broken:
        broken.setattr("arqueduct.dispatcher.Dispatcher.dispatch", away)
        problem(await send(api), 503, "dependency_unavailable")
    again = await send(api)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert str(await owner.fetchval("SELECT id FROM documents")) == again.json()["document"]["id"]


async def test_what_failed_half_way_is_told_as_such(
    api: httpx.AsyncClient, owner: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of many jobs is many transactions; the first is committed when Redis goes."""

    async def away(*_: object) -> None:
        raise DependencyUnavailable("Redis is away.")

    await upload(api)
    with monkeypatch.context() as broken:
        broken.setattr("arqueduct.dispatcher.Dispatcher.dispatch", away)
        problem(await api.post("/api/v1/jobs/pause", json={"all": True}, headers=KEY), 503, "dependency_unavailable")
    again = await api.post("/api/v1/jobs/pause", json={"all": True}, headers=KEY)
    problem(again, 409, "idempotency_answer_not_kept")


async def test_postgres_lost_between_change_and_answer_does_not_take_the_answer_away(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise DependencyUnavailable("Postgres is away.")

    await upload(api)
    with monkeypatch.context() as broken:
        broken.setattr("arqueduct_backend.idempotency.kept_answers.keep", away)
        answer = await api.post("/api/v1/jobs/pause", json={"all": True}, headers=KEY)
    assert answer.json()["changed"] == 1
