"""Admission from many processes at once, at any length of the line, and what a job is told of its place."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from arqueduct.database import Database
from arqueduct.lifecycle import Priority
from arqueduct.queue import WakeUp
from arqueduct.repositories import lists
from arqueduct.repositories.admission import LEAST_ROOM
from arqueduct.settings import Settings
from tests.integration.crowd import KIND, Crowd, Flow, crowding

LONG = 100_000
LOOKS = 30
MOST_ROWS = 20 * LEAST_ROOM
"""Read by one look: a few for every place in the run-way, nothing for those that wait."""

IN_FLIGHT = """
    SELECT tenant_id, kind, count(*) FILTER (WHERE state = 'queued') AS sent, count(*) AS jobs FROM jobs
    WHERE state = 'running' OR (state = 'queued' AND dispatched_at IS NOT NULL) GROUP BY tenant_id, kind
"""


@pytest.fixture
async def crowd(settings: Settings, worker_database: Database) -> AsyncIterator[Crowd]:
    assert settings.database_url is not None
    async with crowding(settings.database_url.get_secret_value(), worker_database) as opened:
        yield opened


@pytest.fixture
async def ours(crowd: Crowd) -> Flow:
    return await crowd.tenant()


@pytest.fixture
async def theirs(crowd: Crowd) -> Flow:
    return await crowd.tenant()


async def drain(crowd: Crowd) -> list[UUID]:
    """Everything that waits, in the order of admission."""
    found: list[UUID] = []
    while admitted := await crowd.admit():
        found.extend(wake_up.job_id for wake_up in admitted)
        await crowd.finish(admitted)
    return found


async def test_every_job_is_admitted_once_by_many_at_a_time(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.worker(150)
    created = await crowd.queue(ours, 60) + await crowd.queue(theirs, 60)
    await crowd.queue(ours, 5, delay=timedelta(hours=1))
    found = await asyncio.gather(*(crowd.admit() for _ in range(20)))
    assert Counter(wake_up.job_id for admitted in found for wake_up in admitted) == Counter(created)


async def test_limits_hold_at_every_moment(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    """Admissions, claims, ends and retries in a heap; whoever looks on never sees a limit passed."""
    await crowd.rule("tenant", "*", max_running=9)
    await crowd.rule("tenant", ours.tenant_id, max_running=5)
    await crowd.rule("kind", "test.heavy", max_running=3)
    for flow in (ours, theirs):
        await crowd.queue(flow, 40)
        await crowd.queue(flow, 40, kind="test.heavy")
    sent: list[WakeUp] = []
    running: list[tuple[UUID, int]] = []

    done = 0

    async def act(chance: random.Random) -> None:
        nonlocal done
        while done < 160:
            sent.extend(await crowd.admit())
            taken, sent[:2] = sent[:2], []
            running.extend(await crowd.claim(taken))
            ended, running[:1] = running[:1], []
            for attempt in ended:
                if chance.random() < 0.2:
                    await crowd.retry(attempt)
                else:
                    await crowd.complete(attempt)
                    done += 1

    acting = [asyncio.create_task(act(random.Random(seed))) for seed in range(4)]
    highest: Counter[object] = Counter()
    try:
        while not all(task.done() for task in acting):
            seen: Counter[object] = Counter()
            for row in await crowd.owner.fetch(IN_FLIGHT):
                seen[row["tenant_id"]] += row["jobs"]
                seen[row["kind"]] += row["jobs"]
                seen["run-way"] += row["sent"]
            highest |= seen
        await asyncio.gather(*acting)
    finally:
        for task in acting:
            task.cancel()
    assert highest[ours.tenant_id] == 5
    assert highest[theirs.tenant_id] == 9
    assert highest["test.heavy"] == 3
    assert highest["run-way"] <= LEAST_ROOM


@pytest.mark.parametrize("is_full", [False, True], ids=["room", "kind full"])
async def test_a_look_reads_as_much_as_it_admits_and_not_the_line(crowd: Crowd, ours: Flow, is_full: bool) -> None:
    """The plans are those of an empty table, the worst there are: statistics come minutes after a flood."""
    other = await crowd.tenant()
    await crowd.queue(other)
    async with crowd.database.autocommit() as driver:
        await crowd.finish(await crowd.admit_on(driver))
        if is_full:
            await crowd.rule("kind", KIND, max_running=4)
        await crowd.flood(ours, LONG)
        admitted = await crowd.admit_on(driver)
        assert len(admitted) == (4 if is_full else LEAST_ROOM)
        before = await crowd.rows_read(driver)
        for _ in range(LOOKS):
            if not is_full:
                await crowd.claim([admitted.pop()])
            admitted.extend(await crowd.admit_on(driver))
        read = await crowd.rows_read(driver) - before
    assert len(admitted) == (4 if is_full else LEAST_ROOM)
    assert read <= LOOKS * MOST_ROWS


async def test_a_single_tenants_job_knows_its_place(crowd: Crowd, app_database: Database, ours: Flow) -> None:
    colleague = await crowd.colleague(ours.tenant_id)
    created = await crowd.queue(ours, 15)
    created += await crowd.queue(colleague, 10)
    created += await crowd.queue(ours, 5, priority=Priority.INTERACTIVE, kind="test.other")
    created += await crowd.queue(colleague, 3, priority=Priority.BULK)
    told = await positions(app_database, ours, created)
    order = await drain(crowd)
    assert told == {job_id: order.index(job_id) for job_id in created}
    assert await positions(app_database, ours, created[:1]) == {created[0]: None}


@pytest.mark.parametrize("weight", [1.0, 3.0])
async def test_a_job_among_two_tenants_knows_its_place(
    crowd: Crowd, app_database: Database, ours: Flow, theirs: Flow, weight: float
) -> None:
    await crowd.rule("tenant", theirs.tenant_id, weight=weight)
    await crowd.queue(theirs, 60)
    await crowd.finish(await crowd.admit())
    created = await crowd.queue(ours, 30)
    await crowd.finish(await crowd.admit())
    told = await positions(app_database, ours, created)
    order = await drain(crowd)
    found = [(place, order.index(job_id)) for job_id, place in told.items() if place is not None]
    assert len(found) > 10
    assert all(abs(place - true) <= 1 for place, true in found)


async def test_another_tenants_job_has_no_place(crowd: Crowd, app_database: Database, ours: Flow, theirs: Flow) -> None:
    created = await crowd.queue(theirs, 3)
    assert set((await positions(app_database, ours, created)).values()) == {None}


async def test_who_admits_learns_ids_and_nothing_else(crowd: Crowd, app_database: Database, theirs: Flow) -> None:
    created = await crowd.queue(theirs, 3)
    async with app_database.autocommit() as driver:
        assert [wake_up.job_id for wake_up in await crowd.admit_on(driver)] == created
        assert await driver.fetch("SELECT id FROM jobs") == []
        for hidden in ("queue_rules", "fair_shares", "in_flight()", "held_kinds()", "tenants_in_line()"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await driver.fetch(f"SELECT * FROM {hidden}")


async def positions(database: Database, flow: Flow, ids: list[UUID]) -> dict[UUID, int | None]:
    async with database.transaction(flow.tenant_id) as transaction:
        return {job_id: await lists.position(transaction, job_id) for job_id in ids}
