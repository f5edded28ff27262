"""What brings wake-ups to a worker: `BatchWorker` of ours, or arq's own `Worker`. Both serve the same queue at a time.

A wake-up is only a hint: the row in Postgres is the truth, and the sweeper sends lost ones again. So ours takes them
off the queue for good, many in one round trip, and does without arq's locks, retry counters and results.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, cast

import structlog
from arq import Retry
from arq.connections import ArqRedis
from arq.jobs import deserialize_job_raw, serialize_job
from arq.typing import WorkerCoroutine
from arq.utils import ms_to_datetime
from arq.worker import Function, Worker, func

from arqueduct.bus import AWAY, EXPIRES_EXTRA_MS, deserialize, serialize
from arqueduct.keys import Keys
from arqueduct.queue import FUNCTION
from arqueduct.settings import Settings
from arqueduct_worker.channel import hear
from arqueduct_worker.queue_scripts import MOST_AT_ONCE, PUT_BACK, SCAN_LIMIT, TAKE
from arqueduct_worker.slots import Slots

__all__ = ["AnyWorker", "BatchWorker", "RunJob", "StockWorker", "open_worker"]

log = structlog.get_logger()

RunJob = Callable[[dict[str, Any], str, int], Coroutine[Any, Any, None]]
"""What follows a wake-up: arq's context, the job's id, the dispatch. `arq.Retry` puts the wake-up back."""

POLL_SECONDS = 0.5
"""Messages wake us; this finds wake-ups whose message was lost, and those that others put back."""

STOCK_POLL_SECONDS = 0.02
"""arq asks Redis this often: a job waits 10 ms in the mean."""

PACE_SECONDS = 0.005
"""Between two looks that brought something: slots that become free meanwhile are filled in one round trip, and what
comes is claimed in one statement."""

PAUSE_SECONDS = 0.5
"""Between two tries while Redis is away."""

STOCK_TIMEOUT_SECONDS = 24 * 3600
"""arq's own limit must never fire: it would end a job behind the back of its lease."""


def open_worker(
    settings: Settings, redis: ArqRedis, keys: Keys, run_job: RunJob, slots: Slots | None = None
) -> "AnyWorker":
    """The worker that the settings ask for; its `main()` runs for as long as the process lives."""
    options: dict[str, Any] = {
        "functions": [func(cast("WorkerCoroutine", run_job), name=FUNCTION, max_tries=2**31)],
        "redis_pool": redis,
        "queue_name": keys.queue,
        "max_jobs": settings.worker_concurrency,
        "handle_signals": False,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "expires_extra_ms": EXPIRES_EXTRA_MS,
    }
    if settings.queue_worker == "batch":
        return BatchWorker(channel=keys.wake, slots=slots, **options)
    return StockWorker(
        poll_delay=STOCK_POLL_SECONDS,
        queue_read_limit=SCAN_LIMIT,
        job_timeout=STOCK_TIMEOUT_SECONDS,
        keep_result=0,
        health_check_interval=3600,
        **options,
    )


class StockWorker(Worker):
    """arq's worker, kept alive through any loss of Redis: the jobs that run meanwhile go on."""

    is_connected = False
    """Whether the last look at the queue worked."""
    _is_looking = False

    def __init__(self, functions: Sequence[Function], **options: Any) -> None:
        super().__init__(functions, **options)
        # A worker serializes results only. None is kept, and of a lost wake-up it is an exception, which no msgpack can
        # hold: arq logs two stack traces about that.
        self.job_serializer = lambda _result: b""

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was taken still runs, and nothing is being taken."""
        return not self._is_looking and self.job_counter == 0

    async def main(self) -> None:
        is_known = False
        while True:
            try:
                await super().main()
            except AWAY as error:
                if self.is_connected or not is_known:
                    log.warning("queue lost", error=str(error))
                self.is_connected, is_known = False, True
                await asyncio.sleep(PAUSE_SECONDS)

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        try:
            await super().start_jobs(job_ids)
        except AWAY:
            # arq forgets the slot it took for the job that it then could not lock; a few losses would use up all
            self._release_sem_dec_counter_on_complete()
            raise

    async def _poll_iteration(self) -> None:
        self._is_looking = True
        try:
            await super()._poll_iteration()
        finally:
            self._is_looking = False
        self.is_connected = True


class BatchWorker(Worker):
    """Takes as many wake-ups as it has free slots in one round trip, and is woken by pub/sub on `channel`.

    The wire format is arq's. Hooks, cron jobs, results, timeouts, `abort` and burst mode are not served. While
    `allow_pick_jobs` is false nothing is taken; what a look under way brings is still run.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        *,
        channel: str,
        slots: Slots | None = None,
        poll_seconds: float = POLL_SECONDS,
        **options: Any,
    ) -> None:
        super().__init__(functions, **options)
        self._slots = slots or Slots()
        self._slots.on_lent = self._freed
        self._channel = channel
        self._poll_seconds = poll_seconds
        self._take = self.pool.register_script(TAKE)
        self._put_back = self.pool.register_script(PUT_BACK)
        self._look = asyncio.Event()
        self._has_more = False
        """More may be waiting than we had slots for, so that the end of a job is a reason to look."""
        self._is_looking = False
        self._is_answered = False
        self._is_subscribed = False
        self._is_loss_known = False

    @property
    def is_connected(self) -> bool:
        """Whether the last look at the queue worked, and messages are heard."""
        return self._is_answered and self._is_subscribed

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was taken still runs, and nothing is being taken."""
        return not self._is_looking and self.job_counter == 0

    async def main(self) -> None:
        """Runs until it is cancelled; jobs that run then go on."""
        self.ctx["redis"] = self.pool
        # Not a TaskGroup: gather hands every cancellation on, should redis-py swallow the first.
        await asyncio.gather(self._listen(), self._deliver())

    async def _deliver(self) -> None:
        while True:
            self._look.clear()
            pause = await self._refill()
            if pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._look.wait()

    async def _refill(self) -> float:
        """Fills the free slots; returns the seconds after which to look again if nothing wakes us."""
        free = min(self._free(), MOST_AT_ONCE)
        if not self.allow_pick_jobs or free <= 0:
            self._has_more = True
            return self._poll_seconds
        self._is_looking = True
        try:
            due_in, *taken = await self._take(keys=[self.queue_name], args=[free])
        except AWAY as error:
            self._is_answered = self._has_more = False
            self._note_loss(error)
            return PAUSE_SECONDS
        finally:
            self._is_looking = False
        self._is_answered = True
        self._note_return()
        for name, score, body in zip(taken[::3], taken[1::3], taken[2::3], strict=True):
            self._start(name.decode(errors="backslashreplace"), int(float(score)), body)
        self._has_more = len(taken) == 3 * free
        if self._has_more and self._free() > 0:
            return 0
        if taken:
            await asyncio.sleep(PACE_SECONDS)
        return self._poll_seconds if due_in < 0 else min(due_in / 1000, self._poll_seconds)

    def _start(self, name: str, score: int, body: bytes) -> None:
        task = asyncio.create_task(self._follow(name, score, body))
        self.job_counter += 1
        self.tasks[name] = task
        task.add_done_callback(lambda done: self._end(name, done))

    def _end(self, name: str, task: "asyncio.Task[None]") -> None:
        """Looks again at once if more may wait: waiting for half the slots kept only 70 % of them busy, this 90 %."""
        self.job_counter -= 1
        if self.tasks.get(name) is task:  # else it was put back and taken again already
            del self.tasks[name]
        self._freed()

    def _free(self) -> int:
        return self.max_jobs + self._slots.lent - self.job_counter

    def _freed(self) -> None:
        if self._has_more:
            self._look.set()

    async def _follow(self, name: str, score: int, body: bytes) -> None:
        """Runs the function that the wake-up names; what it raises concerns nobody else."""
        try:
            called, args, kwargs, tried, sent = deserialize_job_raw(body, deserializer=self.job_deserializer)
            function = self.functions[called]
            job = {"job_id": name, "job_try": tried or 1, "enqueue_time": ms_to_datetime(sent), "score": score}
        except Exception as error:
            self.jobs_failed += 1
            log.error("wake-up dropped; the sweeper decides", id=name, error=repr(error))
            return
        try:
            await function.coroutine({**self.ctx, **job}, *args, **kwargs)
        except Retry as retry:
            self.jobs_retried += 1
            again = serialize_job(called, args, kwargs, (tried or 1) + 1, sent, serializer=self.job_serializer)
            await self._return(name, retry.defer_score or 0, again)
        except Exception:
            self.jobs_failed += 1
            log.exception("wake-up failed", id=name)
        else:
            self.jobs_complete += 1

    async def _return(self, name: str, defer_ms: int, body: bytes) -> None:
        try:
            await self._put_back(
                keys=[self.queue_name], args=[name, defer_ms, self.expires_extra_ms, body, self._channel]
            )
        except AWAY as error:
            log.warning("wake-up not put back; the sweeper will send it again", id=name, error=str(error))

    async def _listen(self) -> None:
        while True:
            try:
                await hear(
                    self.pool, self._channel, on_message=lambda _: self._look.set(), on_subscribed=self._subscribed
                )
            except AWAY as error:
                self._is_subscribed = False
                self._note_loss(error)
                await asyncio.sleep(PAUSE_SECONDS)

    def _subscribed(self) -> None:
        """Looks at once: messages may have passed unheard until now."""
        self._is_subscribed = True
        self._note_return()
        self._look.set()

    def _note_loss(self, error: BaseException) -> None:
        if not self._is_loss_known:
            log.warning("queue lost", error=str(error))
        self._is_loss_known = True

    def _note_return(self) -> None:
        if self._is_loss_known and self.is_connected:
            log.info("queue back")
            self._is_loss_known = False


AnyWorker = BatchWorker | StockWorker
"""What `open_worker` returns."""
