"""Parents and their children: counted whatever happens at the same time, told once an interval, ended when all are."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from arqueduct.database import Database, Driver
from arqueduct.families import Asked, Counts, OnError, Policy
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Action
from arqueduct.repositories import admission, folding, jobs, parents, stage_runs, steering
from arqueduct.repositories.jobs import Step
from arqueduct.repositories.steering import JobFilter
from arqueduct.settings import Settings
from arqueduct_worker.families import Families
from tests.integration.completing import complete
from tests.integration.family import assert_counted, children_of, counts_of, family
from tests.integration.many_jobs import owning
from tests.integration.worker import TestWorker, until

LEASE = timedelta(seconds=60)
ERROR = {"code": "document_corrupt", "message": "It is torn.", "stage": "extracting", "retryable": False, "advice": ""}


async def run(worker: Database, child: UUID, *moves: str) -> None:
    """Claims a child and does what is named, as an attempt would: a share of progress, or an end."""
    async with worker.transaction() as transaction:
        driver = transaction.driver
        found = await driver.fetchrow("SELECT dispatch FROM jobs WHERE id = $1", child)
        assert found is not None
        claimed = await jobs.claim(driver, [(child, found["dispatch"])], "test", LEASE)
    for claim in claimed:
        for move in moves:
            async with worker.transaction() as transaction:
                await _move(transaction.driver, claim, move)


async def _move(driver: Driver, claim: jobs.Claimed, move: str) -> None:
    match move:
        case "complete":
            await jobs.add_usage(
                driver, claim.id, claim.fence, tokens=11, embedding_requests=1, cache_hits=2, pages=3, chunks=4
            )
            await complete(driver, claim.id, claim.fence)
        case "fail":
            await jobs.fail(driver, claim.id, claim.fence, ERROR)
        case "retry":
            await jobs.retry_later(driver, claim.id, claim.fence, ERROR, delay=timedelta(0))
        case share:
            step = Step(
                job_id=claim.id,
                fence=claim.fence,
                stage="extracting",
                progress=float(share),
                message=None,
                details={},
                eta_seconds=None,
                is_new_stage=False,
            )
            await jobs.advance(driver, [step])


async def steer(app: Database, me: NewIdentity, action: Action, parent_id: UUID, most: int = 500) -> None:
    async with app.transaction(me.tenant_id) as transaction:
        wanted = JobFilter(parent_id=parent_id)
        ids = await steering.matching(transaction.driver, action, wanted, limit=most, locked=True)
        await steering.apply(transaction.driver, action, ids)


async def fold(worker: Database, parent_id: UUID) -> None:
    async with worker.transaction() as transaction:
        await folding.fold(transaction.driver, [parent_id])


async def test_a_new_parent_knows_its_children(app_database: Database, me: NewIdentity) -> None:
    parent = await family(app_database, me, 3)
    told = await assert_counted(app_database, me, parent)
    assert told.counts == Counts(queued=3)
    found = await job(app_database, me, parent)
    assert (found["state"], found["children"], counts_of(found["details"])) == ("queued", 3, Counts(queued=3))


async def test_a_parent_runs_with_its_children_and_ends_with_the_last(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 3)
    first, second, third = await children_of(app_database, me, parent)
    await run(worker_database, first, "0.5")
    await fold(worker_database, parent)
    found = await job(app_database, me, parent)
    assert (found["state"], found["stage"]) == ("running", "processing")
    assert found["progress"] == pytest.approx(0.5 / 3, abs=0.001)
    assert [current["document_name"] for current in found["details"]["current"]] == ["file 1"]
    await run(worker_database, third, "complete")
    await run(worker_database, second, "fail")
    async with worker_database.transaction() as transaction:
        await complete(transaction.driver, first, 1)
    await fold(worker_database, parent)
    found = await job(app_database, me, parent)
    assert (found["state"], found["progress"]) == ("partially_completed", 1)
    assert found["finished_at"] is not None
    told = await assert_counted(app_database, me, parent)
    assert (told.pages, told.chunks, told.tokens) == (3, 4, 11)
    async with app_database.transaction(me.tenant_id) as transaction:
        events = await transaction.driver.fetch(
            "SELECT type, state FROM job_events WHERE job_id = $1 ORDER BY seq", parent
        )
        assert await parents.errors(transaction.driver, parent) == {"document_corrupt": 1}
    assert [(event["type"], event["state"]) for event in events] == [
        ("job_queued", "queued"),
        ("batch_progress", "running"),
        ("job_completed", "partially_completed"),
    ]


async def test_a_retried_child_opens_its_parent_again(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 2, policy=Policy(on_error=OnError.STOP_ON_ERROR, threshold=0))
    first, second = await children_of(app_database, me, parent)
    await run(worker_database, first, "complete")
    await run(worker_database, second, "fail")
    await fold(worker_database, parent)
    assert (await job(app_database, me, parent))["state"] == "failed"
    assert (await job(app_database, me, parent))["error"]["code"] == "too_many_failures"
    await steer(app_database, me, Action.RETRY, parent)
    await fold(worker_database, parent)
    assert (await job(app_database, me, parent))["finished_at"] is None
    await run(worker_database, second, "complete")
    await fold(worker_database, parent)
    found = await job(app_database, me, parent)
    assert (found["state"], found["error"]) == ("completed", None)
    await assert_counted(app_database, me, parent)


async def test_a_retried_child_that_ends_before_anybody_looks_opens_its_parent_too(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 2)
    first, second = await children_of(app_database, me, parent)
    await run(worker_database, first, "complete")
    await run(worker_database, second, "fail")
    await fold(worker_database, parent)
    before = await job(app_database, me, parent)
    assert before["state"] == "partially_completed"
    await steer(app_database, me, Action.RETRY, parent)
    await run(worker_database, second, "complete")
    await fold(worker_database, parent)
    found = await job(app_database, me, parent)
    assert (found["state"], found["error"]) == ("completed", None)
    assert found["finished_at"] > before["finished_at"]
    async with app_database.transaction(me.tenant_id) as transaction:
        events = await transaction.driver.fetch("SELECT state FROM job_events WHERE job_id = $1 ORDER BY seq", parent)
    assert [event["state"] for event in events] == ["queued", "partially_completed", "running", "completed"]
    await assert_counted(app_database, me, parent)


async def test_what_is_folded_late_changes_the_sums_and_not_the_end(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 1)
    (child,) = await children_of(app_database, me, parent)
    await run(worker_database, child, "fail")
    await fold(worker_database, parent)
    before = await job(app_database, me, parent)
    async with worker_database.transaction() as transaction:
        await transaction.driver.execute("UPDATE jobs SET tokens = 7 WHERE id = $1", child)
    await fold(worker_database, parent)
    after = await job(app_database, me, parent)
    assert (after["state"], after["error"], after["finished_at"]) == ("failed", before["error"], before["finished_at"])
    assert (await assert_counted(app_database, me, parent)).tokens == 7


async def test_a_parent_is_never_run_by_a_worker(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 1)
    async with worker_database.transaction() as transaction:
        admitted = await admission.admit(transaction.driver, alive=LEASE)
    assert [wake_up.job_id for wake_up in admitted.wake_ups] == await children_of(app_database, me, parent)
    found = await job(app_database, me, parent)
    assert (found["turn"], found["dispatched_at"]) == (None, None)


async def job(database: Database, me: NewIdentity, job_id: UUID) -> dict[str, Any]:
    async with database.transaction(me.tenant_id) as transaction:
        found = await transaction.driver.fetchrow("SELECT * FROM jobs WHERE id = $1", job_id)
    assert found is not None
    return dict(found)


MOVES = st.sampled_from(["complete", "fail", "retry", "0.25", "0.7", "cancel", "pause", "resume", "again", "fold"])


@examples(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(st.tuples(MOVES, st.integers(0, 4)), max_size=25))
async def test_counters_equal_a_recount_after_any_moves_in_any_order(
    app_database: Database, worker_database: Database, me: NewIdentity, moves: list[tuple[str, int]]
) -> None:
    parent = await family(app_database, me, 5)
    ids = await children_of(app_database, me, parent)
    for move, nth in moves:
        await _do(app_database, worker_database, me, parent, ids[nth], move)
        await assert_counted(app_database, me, parent)
    await fold(worker_database, parent)
    told = await assert_counted(app_database, me, parent)
    found = await job(app_database, me, parent)
    assert counts_of(found["details"]) == told.counts
    assert found["progress"] == pytest.approx(told.progress, abs=1e-6)
    assert (found["finished_at"] is None) == (told.counts.unfinished > 0)


async def _do(app: Database, worker: Database, me: NewIdentity, parent: UUID, child: UUID, move: str) -> None:
    actions = {"cancel": Action.CANCEL, "pause": Action.PAUSE, "resume": Action.RESUME, "again": Action.RETRY}
    if move == "fold":
        await fold(worker, parent)
    elif action := actions.get(move):
        async with app.transaction(me.tenant_id) as transaction:
            await steering.apply(transaction.driver, action, [child])
    else:
        await run(worker, child, *([move] if move[0] == "0" else ["0.5", move]))


async def test_counters_equal_a_recount_while_everybody_is_at_it(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 60)
    ids = list(await children_of(app_database, me, parent))
    chance = random.Random(7)
    done = asyncio.Event()

    async def work(mine: list[UUID]) -> None:
        for child in mine:
            await run(worker_database, child, "0.3", "0.6", chance.choice(["complete", "complete", "fail"]))

    async def keep_folding() -> None:
        while not done.is_set():
            await fold(worker_database, parent)
            await assert_counted(app_database, me, parent)

    folding = asyncio.create_task(keep_folding())
    await asyncio.gather(*(work(ids[start::4]) for start in range(4)))
    done.set()
    await folding
    await fold(worker_database, parent)
    assert (await assert_counted(app_database, me, parent)).counts.finished == 60
    assert (await job(app_database, me, parent))["state"] == "partially_completed"


async def test_nobody_folds_a_parent_twice_within_the_interval(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 2)
    first, _ = await children_of(app_database, me, parent)
    hour = timedelta(hours=1)
    await run(worker_database, first, "complete")
    async with worker_database.transaction() as transaction:
        assert await folding.due(transaction.driver, interval=timedelta(0), most=10) == [parent]
        assert (await folding.fold(transaction.driver, [parent], interval=hour)).folded == 0
        assert (await folding.fold(transaction.driver, [parent])).folded == 1
        assert await folding.due(transaction.driver, interval=timedelta(0), most=10) == []


async def test_what_is_wanted_of_all_children_is_done_to_those_that_come_back(
    api_worker: TestWorker, app_database: Database, me: NewIdentity, settings: Settings
) -> None:
    services = api_worker.services
    parent = await family(app_database, me, 3)
    first, *_ = await children_of(app_database, me, parent)
    async with app_database.transaction(me.tenant_id) as transaction:
        await parents.set_asked(transaction.driver, parent, Asked.PAUSE)
    families = Families(services)
    await families.see_to()
    assert (await assert_counted(app_database, me, parent)).counts == Counts(paused=3)
    async with owning(settings) as owner:  # as one whose worker gave it back a moment later
        await owner.execute("UPDATE jobs SET state = 'queued', stage = 'queued' WHERE id = $1", first)
    await families.see_to()
    assert (await assert_counted(app_database, me, parent)).counts == Counts(paused=3)
    async with app_database.transaction(me.tenant_id) as transaction:
        await parents.set_asked(transaction.driver, parent, Asked.RESUME)
    await families.see_to()
    await families.see_to()
    assert (await assert_counted(app_database, me, parent)).counts == Counts(queued=3)
    async with services.database.transaction() as transaction:
        assert await parents.asked(transaction.driver) == []


async def test_too_many_failures_stop_the_others(
    api_worker: TestWorker, app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 4, policy=Policy(on_error=OnError.STOP_ON_ERROR, threshold=0))
    first, *_ = await children_of(app_database, me, parent)
    await run(worker_database, first, "fail")
    await fold(worker_database, parent)
    await Families(api_worker.services).see_to()
    await fold(worker_database, parent)
    assert (await assert_counted(app_database, me, parent)).counts == Counts(failed=1, cancelled=3)
    found = await job(app_database, me, parent)
    assert (found["state"], found["error"]["code"]) == ("failed", "too_many_failures")


async def test_a_parent_that_ended_is_told_to_its_user_once(
    api_worker: TestWorker, app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 1)
    (child,) = await children_of(app_database, me, parent)
    await run(worker_database, child, "complete")
    families = Families(api_worker.services)

    async def is_told() -> bool:
        await families.fold()
        return any(message.job_id == parent and message.state == "completed" for message in api_worker.heard)

    await until(is_told)
    told = [message for message in api_worker.heard if message.job_id == parent]
    assert [message.type for message in told] == ["job_completed"]
    assert told[0].details["completed"] == 1


async def test_what_was_noted_of_a_parent_goes_with_it(
    app_database: Database, worker_database: Database, me: NewIdentity, settings: Settings
) -> None:
    parent = await family(app_database, me, 1)
    (child,) = await children_of(app_database, me, parent)
    await run(worker_database, child, "fail")
    async with owning(settings) as owner:
        await owner.execute("DELETE FROM jobs WHERE id = $1", parent)
        assert await owner.fetchval("SELECT count(*) FROM child_deltas") == 0
        assert await owner.fetchval("SELECT count(*) FROM jobs") == 0


async def test_a_retried_child_that_ends_before_anybody_looks_changes_its_parents_end(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    parent = await family(app_database, me, 2)
    first, second = await children_of(app_database, me, parent)
    await run(worker_database, first, "complete")
    await run(worker_database, second, "fail")
    await fold(worker_database, parent)
    assert (await job(app_database, me, parent))["state"] == "partially_completed"
    await steer(app_database, me, Action.RETRY, parent)
    await run(worker_database, second, "complete")
    await fold(worker_database, parent)
    found = await job(app_database, me, parent)
    assert (found["state"], found["error"], found["details"]["completed"]) == ("completed", None, 2)
    await assert_counted(app_database, me, parent)


async def test_a_parent_whose_children_have_done_what_is_wanted_is_left_alone(
    api_worker: TestWorker, app_database: Database, me: NewIdentity
) -> None:
    services = api_worker.services
    parent = await family(app_database, me, 2)
    async with app_database.transaction(me.tenant_id) as transaction:
        await parents.set_asked(transaction.driver, parent, Asked.PAUSE)
    await Families(services).see_to()
    async with services.database.transaction() as transaction:
        assert await parents.asked(transaction.driver) == []
    async with app_database.transaction(me.tenant_id) as transaction:
        held = await parents.hold(transaction.driver, parent)
    assert held is not None
    assert held["asked"] == Asked.PAUSE


async def test_a_pause_says_nothing_about_pace(
    app_database: Database, worker_database: Database, me: NewIdentity, settings: Settings
) -> None:
    parent = await family(app_database, me, 3)
    first, *rest = await children_of(app_database, me, parent)
    await run(worker_database, first, "0.5")
    await fold(worker_database, parent)
    async with owning(settings) as owner:
        await owner.execute("UPDATE parents SET rated_at = rated_at - interval '10 seconds'")
    async with worker_database.transaction() as transaction:
        await complete(transaction.driver, first, 1)
    await fold(worker_database, parent)
    before = await parent_row(app_database, me, parent)
    assert before["fast_rate"] > 0
    assert 10 <= before["active_seconds"] < 60
    async with app_database.transaction(me.tenant_id) as transaction:
        await steering.apply(transaction.driver, Action.PAUSE, rest)
    await fold(worker_database, parent)
    async with owning(settings) as owner:
        await owner.execute("UPDATE parents SET rated_at = rated_at - interval '1 hour'")
    async with app_database.transaction(me.tenant_id) as transaction:
        await steering.apply(transaction.driver, Action.RESUME, rest)
    await fold(worker_database, parent)
    after = await parent_row(app_database, me, parent)
    assert after["active_seconds"] < 60
    assert after["fast_rate"] > before["fast_rate"] / 2


async def parent_row(database: Database, me: NewIdentity, parent: UUID) -> Any:
    async with database.transaction(me.tenant_id) as transaction:
        return await parents.hold(transaction.driver, parent)


async def test_those_that_wait_longest_are_folded_first(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    first, second = [await family(app_database, me, 1) for _ in range(2)]
    for parent in (second, first):
        (child,) = await children_of(app_database, me, parent)
        await run(worker_database, child, "0.5")
    await fold(worker_database, first)
    (child,) = await children_of(app_database, me, first)
    async with worker_database.transaction() as transaction:
        await complete(transaction.driver, child, 1)
        assert await folding.due(transaction.driver, interval=timedelta(0), most=1) == [second]
        assert await folding.due(transaction.driver, interval=timedelta(hours=1), most=10) == []


async def test_a_parent_takes_no_place_of_a_worker(app_database: Database, me: NewIdentity, settings: Settings) -> None:
    parent = await family(app_database, me, 2)
    running, waiting = await children_of(app_database, me, parent)
    async with owning(settings) as owner:
        await owner.execute("UPDATE jobs SET state = 'running' WHERE id = $1", parent)
        await owner.execute(
            "UPDATE jobs SET state = 'running', lease_owner = 'a', lease_until = now() WHERE id = $1", running
        )
    async with app_database.transaction(me.tenant_id) as transaction:
        assert (await stage_runs.busy(transaction.driver, waiting, timedelta(minutes=1))).ahead == 1
