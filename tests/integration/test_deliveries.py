"""Wake-ups reach workers: in order, in batches, at once, and through whatever happens to Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from arq import Retry
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix

from arqueduct.bus import connect
from arqueduct.embedded import EmbeddedValkey, remove
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.queue import Queue, WakeUp, wake_up_id
from arqueduct.settings import Settings
from arqueduct_worker.deliveries import BatchWorker, RunJob, StockWorker, open_worker
from tests.integration.worker import until

NEVER = 3600.0


class Notes:
    """Which wake-ups ran, in order."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run_job(self, ctx: dict[str, Any], job_id: str, dispatch: int) -> None:
        assert ctx["job_id"] == f"{job_id}:{dispatch}"
        self.ran.append(job_id)

    async def until(self, count: int) -> None:
        async def ran() -> bool:
            return len(self.ran) >= count

        await until(ran)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@asynccontextmanager
async def delivering(
    settings: Settings, redis: ArqRedis, keys: Keys, run_job: RunJob, *, polls: bool = False
) -> AsyncIterator[BatchWorker]:
    """A batch worker that hears messages; without `polls` it looks only when something wakes it."""
    worker = open_worker(settings, redis, keys, run_job)
    assert isinstance(worker, BatchWorker)
    if not polls:
        worker._poll_seconds = NEVER
    async with started(worker):
        yield worker


@asynccontextmanager
async def started(worker: BatchWorker | StockWorker) -> AsyncIterator[None]:
    main = asyncio.create_task(worker.main())
    try:
        await until(lambda: _is_connected(worker))
        yield
    finally:
        while not main.done():  # Python 3.11's `wait_for`, inside redis-py, can swallow a cancellation
            main.cancel()
            await asyncio.wait({main}, timeout=0.1)


async def send(
    redis: ArqRedis, keys: Keys, count: int = 1, *, after: timedelta = timedelta(), silently: bool = False
) -> list[WakeUp]:
    """New wake-ups; `silently`: as if the message had got lost."""
    wake_ups = [WakeUp(new_id(), 0, datetime.now(UTC) + after) for _ in range(count)]
    named = Keys(prefix=keys.prefix) if not silently else _Deaf(prefix=keys.prefix)
    assert await Queue(redis, named).send(wake_ups)
    return wake_ups


def ids(wake_ups: Sequence[WakeUp]) -> list[str]:
    return [str(wake_up.job_id) for wake_up in wake_ups]


def name_of(wake_up: WakeUp) -> str:
    return wake_up_id(wake_up.job_id, wake_up.dispatch)


async def test_the_earliest_is_followed_first(settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes) -> None:
    sent = await send(redis, keys, 20)
    await redis.zadd(keys.queue, {name_of(wake_up): 1000 - number for number, wake_up in enumerate(sent)})
    async with delivering(settings.model_copy(update={"worker_concurrency": 3}), redis, keys, notes.run_job):
        await notes.until(20)
    assert notes.ran == ids(sent)[::-1]


async def test_no_more_than_the_free_slots_are_taken(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    waiting: list[asyncio.Event] = []
    running = most = 0

    async def run_job(_ctx: dict[str, Any], _job_id: str, _dispatch: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        waiting.append(asyncio.Event())
        await waiting[-1].wait()
        running -= 1

    await send(redis, keys, 10)
    async with delivering(settings.model_copy(update={"worker_concurrency": 4}), redis, keys, run_job) as worker:
        for ended in range(10):
            expected = min(10, 4 + ended)
            await until(lambda expected=expected: _is(len(waiting) == expected))
            assert await redis.zcard(keys.queue) == 10 - expected
            waiting[ended].set()
        await until(lambda: _is(worker.is_idle))
    assert (most, worker.jobs_complete) == (4, 10)


async def test_many_wake_ups_cost_few_round_trips(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    await send(redis, keys, 300)
    await redis.config_resetstat()
    async with delivering(settings.model_copy(update={"worker_concurrency": 100}), redis, keys, notes.run_job):
        await notes.until(300)
        stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] <= 6
    assert await redis.zcard(keys.queue) == 0


async def test_nothing_is_left_in_redis(settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes) -> None:
    (wake_up,) = await send(redis, keys)
    async with delivering(settings, redis, keys, notes.run_job):
        await notes.until(1)
    assert [name async for name in redis.scan_iter(f"*{wake_up.job_id}*")] == []
    assert await redis.exists(keys.queue) == 0


async def test_an_idle_worker_is_woken_without_polling(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    async with delivering(settings, redis, keys, notes.run_job):
        for count in range(1, 6):
            await send(redis, keys)
            await notes.until(count)


async def test_a_wake_up_whose_message_was_lost_is_found(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    async with delivering(settings, redis, keys, notes.run_job, polls=True):
        await send(redis, keys, silently=True)
        await notes.until(1)


async def test_a_delayed_wake_up_is_followed_when_it_is_due(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    async with delivering(settings, redis, keys, notes.run_job):
        due = datetime.now(UTC) + timedelta(seconds=0.3)
        await send(redis, keys, after=timedelta(seconds=0.3))
        await notes.until(1)
        assert datetime.now(UTC) >= due - timedelta(milliseconds=1)


async def test_what_comes_due_while_all_slots_are_taken_is_followed_afterwards(
    settings: Settings, redis: ArqRedis, keys: Keys
) -> None:
    release = asyncio.Event()
    ran: list[str] = []

    async def run_job(_ctx: dict[str, Any], job_id: str, _dispatch: int) -> None:
        ran.append(job_id)
        await release.wait()

    async with delivering(settings.model_copy(update={"worker_concurrency": 1}), redis, keys, run_job):
        await send(redis, keys)
        await until(lambda: _is(len(ran) == 1))
        await send(redis, keys)
        release.set()
        await until(lambda: _is(len(ran) == 2))


async def test_stock_and_batch_workers_share_a_queue(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    ran: list[tuple[str, str]] = []
    both = asyncio.Event()

    def as_kind(kind: str) -> RunJob:
        async def run_job(_ctx: dict[str, Any], job_id: str, _dispatch: int) -> None:
            ran.append((kind, job_id))
            if len({kind for kind, _ in ran}) == 2:
                both.set()
            await both.wait()

        return run_job

    stock_settings = settings.model_copy(update={"queue_worker": "stock"})
    stock = open_worker(stock_settings, redis, keys, as_kind("stock"))
    assert isinstance(stock, StockWorker)
    async with started(stock), delivering(settings, redis, keys, as_kind("batch"), polls=True) as batch:
        sent = await send(redis, keys, 300)
        await until(lambda: _is(len(ran) >= 300), seconds=30)
        stock.allow_pick_jobs = False  # cancelled in the middle of a look, redis-py would leave a connection open
        await until(lambda: _is(batch.is_idle and stock.is_idle))
    assert sorted(job_id for _, job_id in ran) == sorted(ids(sent))
    assert {kind for kind, _ in ran} == {"stock", "batch"}
    assert await redis.zcard(keys.queue) == 0


async def test_what_a_stock_worker_holds_is_passed_over(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    held, free = (await send(redis, keys, 30)), (await send(redis, keys, 3))
    await redis.zadd(keys.queue, {name_of(wake_up): 1 for wake_up in held})
    for wake_up in held:
        await redis.psetex(in_progress_key_prefix + name_of(wake_up), 60_000, b"1")
    async with delivering(settings.model_copy(update={"worker_concurrency": 1}), redis, keys, notes.run_job):
        await notes.until(3)
    assert sorted(notes.ran) == sorted(ids(free))
    assert await redis.zcard(keys.queue) == 30


async def test_a_wake_up_without_a_body_is_removed(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    *gone, last = await send(redis, keys, 20)
    await redis.delete(*(job_key_prefix + name_of(wake_up) for wake_up in gone))
    async with delivering(settings.model_copy(update={"worker_concurrency": 2}), redis, keys, notes.run_job):
        await notes.until(1)
    assert notes.ran == [str(last.job_id)]
    assert await redis.zcard(keys.queue) == 0


async def test_a_lost_wake_up_is_one_line_in_the_log_of_stock_arq(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    (gone,) = await send(redis, keys)
    await redis.delete(job_key_prefix + name_of(gone))
    worker = open_worker(settings.model_copy(update={"queue_worker": "stock"}), redis, keys, notes.run_job)
    assert isinstance(worker, StockWorker)
    with caplog.at_level("WARNING", "arq"):
        async with started(worker):
            await until(lambda: _is(worker.jobs_failed == 1 and worker.is_idle))
    assert [record.getMessage() for record in caplog.records] == [f"job {name_of(gone)} expired"]
    assert await redis.zcard(keys.queue) == 0


@pytest.mark.parametrize(
    "body", [b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa1f\x90"], ids=["no msgpack", "a list", "nothing of ours"]
)
async def test_what_cannot_be_read_is_dropped(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes, body: bytes
) -> None:
    (strange,) = await send(redis, keys)
    await redis.set(job_key_prefix + name_of(strange), body)
    async with delivering(settings, redis, keys, notes.run_job) as worker:
        (good,) = await send(redis, keys)
        await notes.until(1)
        assert worker.jobs_failed == 1
    assert notes.ran == [str(good.job_id)]
    assert await redis.zcard(keys.queue) == 0


async def test_an_unknown_function_is_dropped(settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes) -> None:
    await redis.enqueue_job("something_else", _queue_name=keys.queue)
    async with delivering(settings, redis, keys, notes.run_job) as worker:
        await send(redis, keys)
        await notes.until(1)
        assert worker.jobs_failed == 1


async def test_retry_puts_the_wake_up_back(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    tries: list[int] = []

    async def run_job(ctx: dict[str, Any], _job_id: str, _dispatch: int) -> None:
        tries.append(ctx["job_try"])
        if len(tries) < 3:
            raise Retry(defer=timedelta(milliseconds=20 * (2 - len(tries))))

    async with delivering(settings, redis, keys, run_job) as worker:
        await send(redis, keys)
        await until(lambda: _is(worker.jobs_complete == 1))
    assert tries == [1, 2, 3]
    assert worker.jobs_retried == 2
    assert await redis.zcard(keys.queue) == 0


async def test_a_wake_up_put_back_waits_for_its_time(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    async def run_job(_ctx: dict[str, Any], _job_id: str, _dispatch: int) -> None:
        raise Retry(defer=timedelta(hours=1))

    (wake_up,) = await send(redis, keys)
    async with delivering(settings, redis, keys, run_job) as worker:
        await until(lambda: _is(worker.is_idle and worker.jobs_retried == 1))
    score = await redis.zscore(keys.queue, name_of(wake_up))
    assert score is not None
    assert 3590_000 < score - datetime.now(UTC).timestamp() * 1000 <= 3600_000
    assert await redis.pttl(job_key_prefix + name_of(wake_up)) > 3600_000
    assert await Queue(redis, keys).lost([wake_up]) == []


async def test_an_error_of_a_job_concerns_nobody_else(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    async def run_job(_ctx: dict[str, Any], job_id: str, _dispatch: int) -> None:
        if job_id == str(broken.job_id):
            raise ValueError(job_id)

    (broken,) = await send(redis, keys)
    async with delivering(settings, redis, keys, run_job) as worker:
        await send(redis, keys, 5)
        await until(lambda: _is(worker.jobs_complete == 5))
    assert worker.jobs_failed == 1


async def test_a_cancelled_job_gives_its_slot_back(settings: Settings, redis: ArqRedis, keys: Keys) -> None:
    ran: list[str] = []

    async def run_job(_ctx: dict[str, Any], job_id: str, _dispatch: int) -> None:
        ran.append(job_id)
        if len(ran) == 1:
            raise asyncio.CancelledError

    async with delivering(settings.model_copy(update={"worker_concurrency": 1}), redis, keys, run_job):
        await send(redis, keys, 2)
        await until(lambda: _is(len(ran) == 2))


async def test_a_worker_goes_on_after_its_connections_were_cut(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    async with delivering(settings, redis, keys, notes.run_job) as worker:
        for count in range(1, 4):
            await redis.client_kill_filter(_type="pubsub")
            await redis.client_kill_filter(_type="normal", skipme=True)
            await until(lambda: _is(not worker.is_connected))
            await send(redis, keys)
            await notes.until(count)
            await until(lambda: _is(worker.is_connected))


@pytest.mark.parametrize("kind", ["batch", "stock"])
async def test_a_worker_goes_on_after_a_restart_of_redis(
    settings: Settings, keys: Keys, tmp_path: Path, kind: str
) -> None:
    first, release, ran = asyncio.Event(), asyncio.Event(), []

    async def run_job(_ctx: dict[str, Any], job_id: str, _dispatch: int) -> None:
        ran.append(job_id)
        if len(ran) == 1:
            first.set()
            await release.wait()
            raise Retry

    valkey = EmbeddedValkey(tmp_path / "valkey", settings={"appendonly": "no"})
    await asyncio.to_thread(valkey.start)
    redis = connect(valkey.url(), keys)
    try:
        worker = open_worker(settings.model_copy(update={"queue_worker": kind}), redis, keys, run_job)
        async with started(worker):
            await send(redis, keys)
            await first.wait()
            await asyncio.to_thread(valkey.stop)
            await until(lambda: _is(not worker.is_connected))
            assert worker.job_counter == 1  # it goes on, and cannot be put back
            release.set()
            await until(lambda: _is(worker.job_counter == 0))
            await asyncio.to_thread(valkey.start)
            await until(lambda: _is(worker.is_connected))
            await send(redis, keys)
            await until(lambda: _is(len(ran) == 2))
    finally:
        await redis.aclose()
        await asyncio.to_thread(valkey.stop)
        await asyncio.to_thread(remove, valkey.folder)


async def test_a_worker_told_to_stop_takes_nothing_more(
    settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes
) -> None:
    async with delivering(settings, redis, keys, notes.run_job, polls=True) as worker:
        await send(redis, keys)
        await notes.until(1)
        worker.allow_pick_jobs = False
        await until(lambda: _is(worker.is_idle))
        (left,) = await send(redis, keys)
        async with delivering(settings, redis, keys, notes.run_job):
            await notes.until(2)
    assert notes.ran[1:] == [str(left.job_id)]
    assert worker.jobs_complete == 1


async def test_two_workers_share_what_waits(settings: Settings, redis: ArqRedis, keys: Keys, notes: Notes) -> None:
    async with (
        delivering(settings, redis, keys, notes.run_job) as one,
        delivering(settings, redis, keys, notes.run_job) as other,
    ):
        sent = await send(redis, keys, 500)
        await notes.until(500)
        await until(lambda: _is(one.is_idle and other.is_idle))
    assert sorted(notes.ran) == sorted(ids(sent))
    assert min(one.jobs_complete, other.jobs_complete) > 50


class _Deaf(Keys):
    @property
    def wake(self) -> str:
        return f"{self.prefix}:nobody-listens"


async def _is(value: bool) -> bool:
    return value


async def _is_connected(worker: BatchWorker | StockWorker) -> bool:
    return worker.is_connected
