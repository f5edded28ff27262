"""`arqueduct jobs` over a real connection: asked of jobs one by one, and of many at once."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result

from arqueduct.errors import DocumentCorrupt
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cli import arqueduct, done, told
from tests.integration.live_server import serving
from tests.integration.many_jobs import Owner, insert_many, owning, set_rule, states
from tests.integration.test_api_attempts import Flaky
from tests.integration.worker import TestWorker


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Commands that know their server."""

    options: tuple[str, ...]

    async def __call__(self, *arguments: str, piped: str | None = None) -> Result:
        return await arqueduct(*arguments, *self.options, piped=piped)


@pytest.fixture
async def run(settings: Settings, me: NewIdentity) -> AsyncIterator[Commands]:
    async with serving(settings) as server:
        url = server.url("", "http").removesuffix("/api/v1")
        yield Commands(options=("--url", url, "--api-key", me.api_key, "--data-dir", str(settings.data_dir)))


async def test_several_jobs_are_named(run: Commands, me: NewIdentity, owner: Owner) -> None:
    waiting = await insert_many(owner, me, "queued", 2)
    (running,) = await insert_many(owner, me, "running")
    printed = done(await run("jobs", "pause", *waiting, running))
    assert printed.splitlines() == [
        *(f"{job_id} is paused." for job_id in waiting),
        f"{running} is running, and was asked to stop.",
    ]
    assert [job["state"] for job in told(await run("jobs", "resume", *waiting, "--json"))] == ["queued", "queued"]


async def test_what_one_does_not_allow_hinders_no_other(run: Commands, me: NewIdentity, owner: Owner) -> None:
    (finished,) = await insert_many(owner, me, "completed")
    (waiting,) = await insert_many(owner, me, "queued")
    refused = await run("jobs", "cancel", finished, waiting)
    assert refused.exit_code == 1
    assert refused.stdout == f"{waiting} is cancelled.\n"
    assert refused.stderr.startswith(f"Error: {finished}: The job is completed")
    refused = await run("jobs", "cancel", finished, "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "illegal_transition"


async def test_many_are_found_by_a_filter(run: Commands, me: NewIdentity, owner: Owner) -> None:
    old = await insert_many(owner, me, "failed", 3, error_code="timeout", age=7200)
    new = await insert_many(owner, me, "failed", 2, error_code="timeout", kind="report.write")
    assert (
        done(await run("jobs", "retry", "--state", "cancelled", "--state", "paused")) == "0 jobs back in the queue.\n"
    )
    printed = done(await run("jobs", "retry", "--error-code", "timeout", "--kind", "report.write"))
    assert printed == "2 jobs back in the queue.\n"
    assert await states(owner, new) == {"queued": 2}
    (said,) = told(await run("jobs", "retry", "--created-before", "2000-01-01", "--json"))
    assert said == {"changed": 0, "asked": 0, "remaining": 0}
    assert done(await run("jobs", "retry", "--created-after", "2000-01-01T00:00Z")) == "3 jobs back in the queue.\n"
    await insert_many(owner, me, "running", 1)
    assert done(await run("jobs", "cancel", "--all")) == "5 jobs cancelled, 1 running job asked to stop.\n"
    assert await states(owner, [*old, *new]) == {"cancelled": 5}


async def test_jobs_of_a_kind_are_listed(run: Commands, me: NewIdentity, owner: Owner) -> None:
    await insert_many(owner, me, "failed", 2)
    (delivery,) = await insert_many(owner, me, "queued", kind="webhook.deliver")
    assert [job["id"] for job in told(await run("jobs", "ls", "--kind", "webhook.deliver", "--json"))[0]["items"]] == [
        str(delivery)
    ]
    assert str(delivery) in done(await run("jobs", "ls", "--kind", "webhook.deliver"))
    assert len(told(await run("jobs", "ls", "--kind", "document.ingest", "--json"))[0]["items"]) == 2
    refused = await run("jobs", "ls", "--kind", "no kind")
    assert "kind" in refused.stderr


async def test_a_filter_that_makes_no_sense_is_refused_with_the_field(run: Commands) -> None:
    refused = await run("jobs", "cancel", "--kind", "")
    assert refused.exit_code == 1
    assert "#/kinds/0" in refused.stderr


async def test_a_waiting_job_says_why(run: Commands, me: NewIdentity, owner: Owner, tmp_path: Path) -> None:
    await set_rule(owner, "all", "*", is_paused=True)
    await owner.execute("INSERT INTO workers (id, version, concurrency, beat_at) VALUES ('w', '0', 1, 'infinity')")
    for name in ("first.txt", "second.txt"):
        (tmp_path / name).write_text(name)
        done(await run("ingest", str(tmp_path / name), "--no-wait", "--priority", "bulk"))
    assert done(await run("jobs", "ls")).count("waits: the queue is paused") == 2
    newest, _ = told(await run("jobs", "ls", "--json"))[0]["items"]
    printed = " ".join(done(await run("jobs", "get", newest["id"])).split())
    for said in ("priority bulk", "waiting_for the queue is paused", "position 1 before it"):
        assert said in printed


async def test_attempts_are_listed_with_what_went_wrong(
    run: Commands, api_worker: TestWorker, tmp_path: Path, owner: Owner
) -> None:
    (tmp_path / "water.txt").write_text("Water flows.")
    job_id = told(await run("ingest", str(tmp_path / "water.txt"), "--no-wait", "--json"))[0]["job_id"]
    assert done(await run("jobs", "attempts", job_id)) == "No worker has taken it yet.\n"
    await api_worker.with_stages(Flaky(DocumentCorrupt())).run(UUID(job_id))
    printed = done(await run("jobs", "attempts", job_id))
    assert "document_corrupt: The file is damaged" in printed
    assert "Traceback" not in printed
    assert "Traceback (most recent call last)" in done(await run("jobs", "attempts", job_id, "--traceback"))
    for option, is_there in (([], False), (["--traceback"], True)):
        ((attempt,),) = [said["items"] for said in told(await run("jobs", "attempts", job_id, "--json", *option))]
        assert (attempt["outcome"], bool(attempt["traceback"])) == ("failed", is_there)
    assert api_worker.services.name in printed
    await owner.execute("UPDATE memberships SET role = 'viewer'")
    printed = done(await run("jobs", "attempts", job_id, "--traceback"))
    assert "document_corrupt" in printed
    assert "Traceback" not in printed
    assert api_worker.services.name not in printed
