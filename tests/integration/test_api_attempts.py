"""Attempts over HTTP: what an operator reads to see why a job failed."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from arqueduct import __version__
from arqueduct.errors import DependencyUnavailable, DocumentCorrupt
from arqueduct.identity import NewIdentity
from arqueduct.pipeline import Stage, StageContext
from arqueduct.settings import Settings
from tests.integration.backend import problem, upload
from tests.integration.many_jobs import Owner, insert_many, owning
from tests.integration.worker import TestWorker


class Flaky(Stage):
    """Fails as it is told."""

    name = "flaky"
    label = "flaking"
    weight = 1

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def run(self, context: StageContext) -> None:
        raise self._errors.pop(0)


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@pytest.fixture
async def failed(api: httpx.AsyncClient, api_worker: TestWorker) -> str:
    """A job that was tried twice."""
    job_id: str = (await upload(api))["job"]["id"]
    worker = api_worker.with_stages(Flaky(DependencyUnavailable("the provider sleeps"), DocumentCorrupt()))
    for dispatch in range(2):
        await worker.run(UUID(job_id), dispatch)
    return job_id


async def test_each_attempt_says_how_it_ended(api: httpx.AsyncClient, failed: str, api_worker: TestWorker) -> None:
    first, second = (await api.get(f"/api/v1/jobs/{failed}/attempts")).json()["items"]
    assert (first["attempt"], first["outcome"], first["code"], first["stage"]) == (
        1,
        "retried",
        "dependency_unavailable",
        "flaking",
    )
    assert first["message"] == "the provider sleeps"
    assert (second["attempt"], second["outcome"], second["code"]) == (2, "failed", "document_corrupt")
    assert (first["worker"], first["version"]) == (api_worker.services.name, __version__)
    assert first["started_at"] < first["ended_at"] < second["ended_at"]


@pytest.mark.parametrize(("role", "is_shown"), [("owner", True), ("admin", True), ("editor", False), ("viewer", False)])
async def test_tracebacks_are_for_owners_and_administrators(
    api: httpx.AsyncClient, me: NewIdentity, failed: str, owner: Owner, role: str, is_shown: bool
) -> None:
    await owner.execute("UPDATE memberships SET role = $1 WHERE user_id = $2", role, me.user_id)
    for attempt in (await api.get(f"/api/v1/jobs/{failed}/attempts")).json()["items"]:
        assert ("Traceback (most recent call last)" in (attempt["traceback"] or "")) is is_shown
        assert attempt["code"]


async def test_an_attempt_that_runs_has_no_end_yet(
    api: httpx.AsyncClient, api_worker: TestWorker, owner: Owner
) -> None:
    told = []

    class Looking(Stage):
        """Reads its own attempts."""

        name = "look"
        label = "looking"
        weight = 1

        async def run(self, context: StageContext) -> None:
            told.extend((await api.get(f"/api/v1/jobs/{context.subject.job_id}/attempts")).json()["items"])

    job_id = (await upload(api))["job"]["id"]
    assert (await api.get(f"/api/v1/jobs/{job_id}/attempts")).json() == {"items": []}
    await api_worker.with_stages(Looking()).run(UUID(job_id))
    assert [(attempt["attempt"], attempt["outcome"], attempt["ended_at"]) for attempt in told] == [(1, None, None)]


async def test_of_very_many_the_newest_are_shown(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    (job_id,) = await insert_many(owner, me, "failed")
    await owner.execute(
        "INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version, ended_at, outcome) "
        "SELECT $1, n, $2, 'w', '0', now(), 'handed_back' FROM generate_series(1, 150) n",
        job_id,
        me.tenant_id,
    )
    items = (await api.get(f"/api/v1/jobs/{job_id}/attempts")).json()["items"]
    assert [item["attempt"] for item in items] == list(range(51, 151))


async def test_a_stranger_finds_no_attempts(stranger: httpx.AsyncClient, failed: str) -> None:
    problem(await stranger.get(f"/api/v1/jobs/{failed}/attempts"), 404, "not_found")
