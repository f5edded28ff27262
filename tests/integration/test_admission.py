"""Whose turn it is: fair between tenants and users, whatever one of them floods the queue with."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from arq.connections import ArqRedis

from arqueduct.admitter import Admitter
from arqueduct.database import Database
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.lifecycle import Priority
from arqueduct.queue import Queue
from arqueduct.repositories import admission, jobs
from arqueduct.repositories.admission import LEAST_ROOM
from arqueduct.settings import Settings
from tests.integration.crowd import ALIVE, Consumer, Crowd, Flow, crowding

SLOTS = 4


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


async def test_one_job_goes_ahead_of_ten_thousand_of_another_tenant(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.queue(theirs, 10_000)
    run_way = await crowd.admit()
    assert len(run_way) == LEAST_ROOM
    (mine,) = await crowd.queue(ours)
    await crowd.claim(run_way[:SLOTS])
    admitted = await crowd.admit()
    assert len(admitted) == SLOTS
    assert mine in [wake_up.job_id for wake_up in admitted[:2]]
    assert mine == min(admitted + run_way[SLOTS:], key=lambda wake_up: wake_up.due).job_id


async def test_one_job_begins_after_a_handful_of_ten_thousand(
    crowd: Crowd, ours: Flow, theirs: Flow, redis: ArqRedis, keys: Keys
) -> None:
    """The whole way: admitted, through Redis in the order of its scores, claimed and completed by a few slots."""
    admitter = Admitter(crowd.database, Queue(redis, keys), alive=ALIVE, interval=1)
    await crowd.queue(theirs, 10_000)
    running: list[tuple[UUID, int]] = []

    async def begin() -> UUID:
        await admitter.admit()
        ((name, _),) = await redis.zpopmin(keys.queue)
        job_id, _, dispatch = name.decode().partition(":")
        async with crowd.database.transaction() as transaction:
            (claimed,) = await jobs.claim(transaction.driver, [(UUID(job_id), int(dispatch))], "worker-1", ALIVE)
        running.append((claimed.id, claimed.fence))
        if len(running) == SLOTS:
            await crowd.complete(running.pop(0))
        return claimed.id

    for _ in range(30):
        await begin()
    (mine,) = await crowd.queue(ours)
    before = 0
    while await begin() != mine:
        before += 1
    assert before <= LEAST_ROOM + SLOTS
    assert before <= 2  # it goes ahead of what waits in Redis already


async def test_tenants_with_much_to_do_take_turns(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.queue(theirs, 100)
    await crowd.queue(ours, 100)
    begun = await crowd.tenants_of(await Consumer(crowd=crowd).begin_many(100))
    for end in range(LEAST_ROOM, len(begun)):  # the first run-way was theirs alone
        assert abs(begun[LEAST_ROOM:end].count(ours.tenant_id) - begun[LEAST_ROOM:end].count(theirs.tenant_id)) <= 1


@pytest.mark.parametrize("slots", [1, 8])
async def test_weights_are_shares(crowd: Crowd, ours: Flow, theirs: Flow, slots: int) -> None:
    await crowd.rule("tenant", ours.tenant_id, weight=3.0)
    await crowd.queue(theirs, 150)
    await crowd.queue(ours, 300)
    begun = await crowd.tenants_of(await Consumer(crowd=crowd, slots=slots).begin_many(200))
    mine = 0
    for number, tenant_id in enumerate(begun, start=1):
        mine += tenant_id == ours.tenant_id
        assert abs(mine - number * 3 / 4) <= 1


async def test_time_without_work_earns_nothing(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.queue(theirs, 300)
    consumer = Consumer(crowd=crowd)
    await consumer.begin_many(100)
    await crowd.queue(ours, 300)
    found = await consumer.shares(100)
    assert abs(found[theirs.tenant_id] - LEAST_ROOM - found[ours.tenant_id]) <= 2  # the run-way was theirs alone


async def test_a_flood_leaves_their_turns_to_others(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    """Also where the other tenant never has more than one job waiting."""
    consumer = Consumer(crowd=crowd, slots=SLOTS)
    await crowd.queue(theirs, 1000)
    await consumer.begin_many(20)
    mine = set(await crowd.queue(ours))
    for _ in range(100):
        if await consumer.begin() in mine:
            mine.update(await crowd.queue(ours))
    assert len(mine) > 5


async def test_who_comes_again_and_again_takes_no_more_than_a_share(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.queue(theirs, 1000)
    admitted = await crowd.admit()
    found: Counter[UUID] = Counter()
    for _ in range(100):
        await crowd.queue(ours)
        await crowd.finish(admitted[:1])
        admitted = admitted[1:] + (new := await crowd.admit())
        found.update(await crowd.tenants_of([wake_up.job_id for wake_up in new]))
    assert abs(found[ours.tenant_id] - found[theirs.tenant_id]) <= 1


async def test_a_limit_is_no_way_to_more_than_a_share(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.rule("tenant", ours.tenant_id, max_running=LEAST_ROOM - 2)
    await crowd.queue(ours, 400)
    await crowd.queue(theirs, 400)
    found = await Consumer(crowd=crowd, slots=SLOTS).shares(200)
    assert abs(found[ours.tenant_id] - found[theirs.tenant_id]) <= 2


async def test_users_of_a_tenant_take_turns(crowd: Crowd, ours: Flow) -> None:
    colleague = await crowd.colleague(ours.tenant_id)
    first = await crowd.queue(ours, 100)
    consumer = Consumer(crowd=crowd)
    await consumer.begin_many(20)
    await crowd.queue(colleague, 30)
    begun = await consumer.begin_many(LEAST_ROOM + 40)
    mine = [job_id in first for job_id in begun[LEAST_ROOM:]]  # the run-way was filled before
    for end in range(len(mine)):
        assert abs(mine[:end].count(True) - mine[:end].count(False)) <= 1


async def test_priority_orders_the_jobs_of_its_tenant(crowd: Crowd, ours: Flow, redis: ArqRedis, keys: Keys) -> None:
    bulk = await crowd.queue(ours, 3, priority=Priority.BULK)
    normal = await crowd.queue(ours, 3)
    interactive = await crowd.queue(ours, 3, priority=Priority.INTERACTIVE)
    await Admitter(crowd.database, Queue(redis, keys), alive=ALIVE, interval=1).admit()
    names = await redis.zrange(keys.queue, 0, -1)
    assert [UUID(name.decode().partition(":")[0]) for name in names] == [*interactive, *normal, *bulk]


async def test_priority_takes_nothing_from_another_tenant(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.queue(ours, 100, priority=Priority.BULK)
    await crowd.queue(theirs, 100, priority=Priority.INTERACTIVE)
    begun = await crowd.tenants_of(await Consumer(crowd=crowd).begin_many(100))
    for end in range(LEAST_ROOM, len(begun)):
        assert abs(begun[LEAST_ROOM:end].count(ours.tenant_id) - begun[LEAST_ROOM:end].count(theirs.tenant_id)) <= 1


@pytest.mark.parametrize("is_own", [True, False], ids=["own rule", "every tenant"])
async def test_a_tenant_runs_no_more_than_it_may(crowd: Crowd, ours: Flow, theirs: Flow, is_own: bool) -> None:
    await crowd.rule("tenant", "*", max_running=7 if is_own else 3)
    if is_own:
        await crowd.rule("tenant", ours.tenant_id, max_running=3)
    await crowd.queue(ours, 20)
    await crowd.queue(theirs, 2)
    admitted = await crowd.admit()
    found = Counter(await crowd.tenants_of([wake_up.job_id for wake_up in admitted]))
    assert found == {ours.tenant_id: 3, theirs.tenant_id: 2}
    attempts = await crowd.claim(admitted)
    assert await crowd.admit() == []
    for attempt in attempts:
        await crowd.complete(attempt)
    assert len(await crowd.admit()) == 3


async def test_a_rule_that_names_no_limit_leaves_the_one_of_every_tenant(crowd: Crowd, ours: Flow) -> None:
    await crowd.rule("tenant", "*", max_running=3)
    await crowd.rule("tenant", ours.tenant_id, weight=2.0)
    await crowd.queue(ours, 20)
    assert len(await crowd.admit()) == 3


async def test_a_kind_that_is_full_holds_up_no_other(crowd: Crowd, ours: Flow, theirs: Flow) -> None:
    await crowd.rule("kind", "test.heavy", max_running=2)
    heavy = await crowd.queue(ours, 50, kind="test.heavy")
    light = await crowd.queue(ours, 4) + await crowd.queue(theirs, 4)
    admitted = {wake_up.job_id for wake_up in await crowd.admit()}
    assert admitted == {*heavy[:2], *light}
    assert await crowd.admit() == []


async def test_what_a_full_kind_held_up_is_not_counted_against_its_tenant(
    crowd: Crowd, ours: Flow, theirs: Flow
) -> None:
    await crowd.rule("kind", "test.heavy", max_running=1)
    await crowd.queue(ours, 50, kind="test.heavy", priority=Priority.INTERACTIVE)
    await crowd.queue(ours, 100)
    await crowd.queue(theirs, 100)
    found = await Consumer(crowd=crowd, slots=SLOTS).shares(100)
    assert abs(found[ours.tenant_id] - found[theirs.tenant_id]) <= 2


@pytest.mark.parametrize("scope", ["all", "tenant", "kind"])
async def test_what_is_paused_waits_and_the_rest_goes_on(crowd: Crowd, ours: Flow, theirs: Flow, scope: str) -> None:
    held = await crowd.queue(ours, 5, kind="test.held")
    free = await crowd.queue(theirs, 5)
    await crowd.rule(scope, {"all": "*", "tenant": ours.tenant_id, "kind": "test.held"}[scope], is_paused=True)
    admitted = [wake_up.job_id for wake_up in await crowd.admit()]
    assert admitted == ([] if scope == "all" else free)
    await crowd.owner.execute("DELETE FROM queue_rules")
    assert {wake_up.job_id for wake_up in await crowd.admit()} == {*held, *free} - {*admitted}


async def test_the_run_way_holds_what_live_workers_take(crowd: Crowd, ours: Flow) -> None:
    await crowd.queue(ours, 200)
    await crowd.worker(5)
    assert len(await crowd.admit()) == LEAST_ROOM
    await crowd.worker(50, "worker-2")
    assert len(await crowd.admit()) == 55 - LEAST_ROOM
    await crowd.owner.execute("UPDATE workers SET beat_at = now() - interval '1 minute' WHERE id = 'worker-2'")
    assert await crowd.admit() == []


async def test_a_job_that_is_due_later_is_announced_and_then_comes(crowd: Crowd, ours: Flow) -> None:
    (later,) = await crowd.queue(ours, delay=timedelta(minutes=10))
    async with crowd.database.autocommit() as driver:
        found = await admission.admit(driver, alive=ALIVE)
        assert found.wake_ups == []
        assert found.next_due_seconds == pytest.approx(600, abs=60)
        await crowd.owner.execute("UPDATE jobs SET run_after = now() WHERE id = $1", later)
        found = await admission.admit(driver, alive=ALIVE)
    assert [wake_up.job_id for wake_up in found.wake_ups] == [later]
    assert found.next_due_seconds is None


async def test_what_redis_did_not_get_stands_where_it_stood(crowd: Crowd, ours: Flow) -> None:
    await crowd.queue(ours, 40)
    admitted = await crowd.admit()
    async with crowd.database.autocommit() as driver:
        await admission.unadmit(driver, admitted)
        await admission.unadmit(driver, admitted)
    again = await crowd.admit()
    assert [wake_up[:2] for wake_up in again] == [(job_id, dispatch + 1) for job_id, dispatch, _ in admitted]
    assert await crowd.claim(admitted) == []


async def test_queuing_reads_no_more_than_it_queues(crowd: Crowd, ours: Flow, app_database: Database) -> None:
    """Whatever waits already; at first each creation read all jobs of its tenant."""
    await crowd.queue(ours, 3_000)
    ids = [new_id() for _ in range(100)]
    async with app_database.transaction(ours.tenant_id) as transaction:
        await transaction.driver.execute(
            "INSERT INTO jobs (id, tenant_id, user_id, kind) SELECT id, $2, $3, 'test.work' FROM unnest($1::uuid[]) id",
            ids,
            *ours,
        )
        assert len(await jobs.note_created(transaction.driver, ids)) == len(ids)
        read = await transaction.driver.fetchval(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables "
            "WHERE relname = 'jobs'"
        )
    assert len(ids) < read < 10 * len(ids)
