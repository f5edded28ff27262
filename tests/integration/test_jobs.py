"""The transitions of the row, as SQL."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from arqueduct.database import Database
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Action, Outcome
from arqueduct.models import Blob, Job
from arqueduct.repositories import admission, jobs, steering, sweeps
from arqueduct.repositories.jobs import Claimed, End, Step
from arqueduct.settings import Settings
from tests.integration.completing import complete
from tests.integration.worker import insert, row

LEASE = timedelta(seconds=30)


@pytest.fixture
async def job(settings: Settings, me: NewIdentity) -> Job:
    blob = Blob(id=new_id(), tenant_id=me.tenant_id, sha256="00", size=1)
    return await insert(settings, me, blob, format=Format.TEXT, name="a file")


async def claim(database: Database, job_id: UUID, *, dispatch: int = 0, lease: timedelta = LEASE) -> Claimed | None:
    async with database.transaction() as transaction:
        found = await jobs.claim(transaction.driver, [(job_id, dispatch)], "worker-1", lease)
    return found[0] if found else None


def step(claimed: Claimed, progress: float, *, stage: str = "extracting", new: bool = False) -> Step:
    return Step(
        job_id=claimed.id,
        fence=claimed.fence,
        stage=stage,
        progress=progress,
        message=None,
        details={},
        eta_seconds=None,
        is_new_stage=new,
    )


async def test_only_one_of_many_claims_wins(worker_database: Database, job: Job) -> None:
    won = [found for found in await asyncio.gather(*(claim(worker_database, job.id) for _ in range(5))) if found]
    assert [found.fence for found in won] == [1]


async def test_a_wake_up_of_another_dispatch_claims_nothing(worker_database: Database, job: Job) -> None:
    assert await claim(worker_database, job.id, dispatch=1) is None


async def test_many_wake_ups_are_claimed_together(
    settings: Settings, worker_database: Database, me: NewIdentity
) -> None:
    blob = Blob(id=new_id(), tenant_id=me.tenant_id, sha256="00", size=1)
    created = [await insert(settings, me, blob, format=Format.TEXT, name=f"file {n}") for n in range(3)]
    wake_ups = [(created[0].id, 0), (created[1].id, 7), (new_id(), 0), (created[2].id, 0)]
    async with worker_database.transaction() as transaction:
        claimed = await jobs.claim(transaction.driver, wake_ups, "worker-1", LEASE)
    assert {one.id for one in claimed} == {created[0].id, created[2].id}


async def test_a_lapsed_lease_is_taken_back_and_the_next_attempt_fences_the_first(
    worker_database: Database, job: Job
) -> None:
    first = await claim(worker_database, job.id, lease=timedelta(seconds=-1))
    assert await claim(worker_database, job.id) is None
    async with worker_database.transaction() as transaction:
        await sweeps.lapsed(transaction.driver, max_crashes=3)
    second = await claim(worker_database, job.id, dispatch=1)
    assert first is not None
    assert second is not None
    assert second.fence == 2
    async with worker_database.transaction() as transaction:
        assert await jobs.advance(transaction.driver, [step(first, 0.5)]) == [None]
        assert await complete(transaction.driver, job.id, first.fence) is None
        assert await jobs.fail(transaction.driver, job.id, first.fence, {"message": "x"}) is None
        assert await jobs.release(transaction.driver, job.id, first.fence, Outcome.SNOOZED) is None
        no_delay = timedelta(0)
        assert await jobs.retry_later(transaction.driver, job.id, first.fence, {"message": "x"}, delay=no_delay) is None
    assert (await row(worker_database, job.id))["progress"] == 0


async def test_a_heartbeat_renews_what_is_owned_and_tells_what_is_asked(worker_database: Database, job: Job) -> None:
    claimed = await claim(worker_database, job.id, lease=timedelta(seconds=1))
    assert claimed is not None
    async with worker_database.transaction() as transaction:
        await steering.apply(transaction.driver, Action.CANCEL, [job.id])
    async with worker_database.transaction() as transaction:
        owned = await jobs.heartbeat(transaction.driver, [(job.id, claimed.fence), (new_id(), 1)], LEASE)
    assert {job_id: found["cancel_requested"] for job_id, found in owned.items()} == {job.id: True}
    found = await row(worker_database, job.id)
    assert found["lease_until"] - found["updated_at"] > timedelta(seconds=20)


async def test_a_heartbeat_does_not_wait_for_a_row_that_is_being_completed(worker_database: Database, job: Job) -> None:
    claimed = await claim(worker_database, job.id)
    assert claimed is not None
    async with worker_database.transaction() as completing:
        await complete(completing.driver, job.id, claimed.fence)
        async with asyncio.timeout(2), worker_database.transaction() as transaction:
            owned = await jobs.heartbeat(transaction.driver, [(job.id, claimed.fence)], LEASE)
    assert list(owned) == [job.id]


async def test_steps_of_many_jobs_are_written_at_once(worker_database: Database, job: Job) -> None:
    claimed = await claim(worker_database, job.id)
    assert claimed is not None
    steps = [step(claimed, 0.15, new=True), step(claimed, 0.2), step(claimed, 0.35, stage="chunking", new=True)]
    async with worker_database.transaction() as transaction:
        told = await jobs.advance(transaction.driver, steps)
    assert [(message.stage, message.progress, message.seq - claimed.seq) for message in told if message] == [
        ("extracting", 0.15, 1),
        ("extracting", 0.2, 2),
        ("chunking", 0.35, 3),
    ]
    found = await row(worker_database, job.id)
    assert (found["stage"], found["seq"]) == ("chunking", claimed.seq + 3)


async def test_progress_never_goes_back(worker_database: Database, job: Job) -> None:
    claimed = await claim(worker_database, job.id)
    assert claimed is not None
    async with worker_database.transaction() as transaction:
        await jobs.advance(transaction.driver, [step(claimed, 0.5)])
        await jobs.advance(transaction.driver, [step(claimed, 0.3)])
    assert (await row(worker_database, job.id))["progress"] == pytest.approx(0.5)


async def test_a_cancel_that_was_asked_for_stops_a_completion(worker_database: Database, job: Job) -> None:
    claimed = await claim(worker_database, job.id)
    assert claimed is not None
    async with worker_database.transaction() as transaction:
        await steering.apply(transaction.driver, Action.CANCEL, [job.id])
        assert await complete(transaction.driver, job.id, claimed.fence) is None
        assert await jobs.cancel_running(transaction.driver, job.id, claimed.fence) is not None
    assert (await row(worker_database, job.id))["state"] == "cancelled"


async def test_a_waiting_job_is_cancelled_at_once_and_can_be_retried(
    worker_database: Database, app_database: Database, me: NewIdentity, job: Job
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        assert (await steering.apply(transaction.driver, Action.CANCEL, [job.id])).rows
    assert await claim(worker_database, job.id) is None
    async with app_database.transaction(me.tenant_id) as transaction:
        assert (await steering.apply(transaction.driver, Action.RETRY, [job.id])).rows
    assert (await claim(worker_database, job.id, dispatch=1)) is not None


async def test_the_sweeper_takes_lapsed_jobs_back_until_they_have_killed_enough(
    worker_database: Database, job: Job
) -> None:
    for dispatch, state in enumerate(["queued", "queued", "failed"]):
        assert await claim(worker_database, job.id, dispatch=dispatch, lease=timedelta(seconds=-1)) is not None
        async with worker_database.transaction() as transaction:
            (swept,) = await sweeps.lapsed(transaction.driver, max_crashes=3)
        assert swept["state"] == state
    assert (await row(worker_database, job.id))["error"]["code"] == "worker_died"


async def test_a_lapsed_job_that_was_to_be_cancelled_ends_cancelled(worker_database: Database, job: Job) -> None:
    await claim(worker_database, job.id, lease=timedelta(seconds=-1))
    async with worker_database.transaction() as transaction:
        await steering.apply(transaction.driver, Action.CANCEL, [job.id])
        (swept,) = await sweeps.lapsed(transaction.driver, max_crashes=3)
    assert swept["state"] == "cancelled"


async def test_what_nobody_followed_is_found_and_stands_in_line_again(worker_database: Database, job: Job) -> None:
    async with worker_database.autocommit() as driver:
        (admitted,) = (await admission.admit(driver, alive=LEASE)).wake_ups
        assert (await admission.admit(driver, alive=LEASE)).wake_ups == []
        (found,) = await sweeps.unfollowed(driver, older=timedelta(seconds=-1))
        assert found[:2] == admitted[:2] == (job.id, 0)
        await admission.unadmit(driver, [found])
        (successor,) = (await admission.admit(driver, alive=LEASE)).wake_ups
    assert successor[:2] == (job.id, 1)


async def test_of_two_attempts_that_end_together_the_one_that_owns_the_job_counts(
    worker_database: Database, job: Job
) -> None:
    first = await claim(worker_database, job.id)
    assert first is not None
    async with worker_database.transaction() as transaction:
        await transaction.driver.execute("UPDATE jobs SET fence = fence + 1 WHERE id = $1", job.id)
        ends = [End(job_id=job.id, fence=first.fence + later, tokens=10**later) for later in (0, 1)]
        (ended,) = await jobs.complete_all(transaction.driver, ends)
        spent = await transaction.driver.fetchval("SELECT tokens FROM jobs WHERE id = $1", job.id)
    assert (ended["fence"], spent) == (first.fence + 1, 10)
