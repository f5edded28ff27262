"""Contest: the wake-up layer alone, with jobs that do nothing. Ours beside stock arq with its best settings."""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from arq.connections import ArqRedis

from arqueduct.bus import connect
from arqueduct.cli.measuring import latency_of
from arqueduct.cli.queue_bench.contest import Contest, Plan
from arqueduct.cli.queue_bench.crew import Crew, working
from arqueduct.cli.queue_bench.results import Measure, Pair
from arqueduct.cli.queue_bench.worker import MAX_JOBS, URL_VARIABLE
from arqueduct.embedded import EmbeddedValkey, remove
from arqueduct.keys import Keys
from arqueduct.queue import Queue, WakeUp
from arqueduct.supervisor.servers import to_the_end

__all__ = ["WakeUps", "open_wake_ups"]

MODULE = "arqueduct.cli.queue_bench.worker"
OURS, STOCK = "batch", "stock"

ONE = Measure("1 worker process", "jobs/s", least_ratio=1.5)
TWO = Measure("2 worker processes", "jobs/s", least_ratio=2.5)
MEDIAN = Measure("idle pick-up, median", "ms", limit=10)
NINETY_FIVE = Measure("idle pick-up, 95 %", "ms")

AT_ONCE = 500
"""Wake-ups in one MULTI, as they would be sent."""
RUN_SECONDS = 120.0
PICK_UP_SECONDS = 10.0
GAPS = (0.02, 0.08)
"""Seconds between two single jobs: random, so that no polling falls into step with them."""
WARM_UPS = 5


@asynccontextmanager
async def open_wake_ups(plan: Plan) -> AsyncIterator["WakeUps"]:
    """With a Valkey of its own, set up like that of `arqueduct up`."""
    valkey = EmbeddedValkey(plan.folder / "valkey")
    try:
        await to_the_end(valkey.start)
        yield WakeUps(plan, valkey.url())
    finally:
        await asyncio.to_thread(valkey.stop)
        await asyncio.to_thread(remove, valkey.folder)


class WakeUps(Contest):
    name = "Wake-ups alone: jobs that do nothing"
    ours = "arqueduct"
    rival = f"arq {version('arq')}"
    measures = (ONE, TWO, MEDIAN, NINETY_FIVE)

    def __init__(self, plan: Plan, url: str) -> None:
        self._plan = plan
        self._url = url

    @property
    def settings(self) -> Mapping[str, int | str]:
        return {"jobs": self._plan.jobs, "pick-ups": self._plan.pick_ups, "concurrency": MAX_JOBS}

    async def round(self) -> dict[Measure, Pair]:
        """Who begins is drawn by lot."""
        found: dict[Measure, dict[str, float]] = {measure: {} for measure in self.measures}
        for kind in random.sample([OURS, STOCK], 2):
            found[ONE][kind] = await self._throughput(kind, 1)
        for kind in random.sample([OURS, STOCK], 2):
            found[TWO][kind] = await self._throughput(kind, 2)
        for kind in random.sample([OURS, STOCK], 2):
            found[MEDIAN][kind], found[NINETY_FIVE][kind] = await self._pick_up(kind)
        return {measure: (both[OURS], both[STOCK]) for measure, both in found.items()}

    async def _throughput(self, kind: str, workers: int) -> float:
        """Jobs a second from the first to the last; all are queued, and all workers ready, before they appear."""
        async with self._crew(kind, workers) as (crew, redis, keys):
            staged = Keys(prefix=f"{keys.prefix}:staged")
            for begin in range(0, self._plan.jobs, AT_ONCE):
                await _send(redis, staged, min(AT_ONCE, self._plan.jobs - begin))
            pipeline = redis.pipeline(transaction=True)
            pipeline.rename(staged.queue, keys.queue)
            pipeline.publish(keys.wake, b"")
            await pipeline.execute()
            readings = await crew.counted(self._plan.jobs, seconds=RUN_SECONDS, look=0.02)
        shares = [reading for reading in readings if reading.jobs]
        took = max(reading.last for reading in shares) - min(reading.first for reading in shares)
        return (sum(reading.jobs for reading in shares) - 1) / took

    async def _pick_up(self, kind: str) -> tuple[float, float]:
        """Milliseconds from before the sending to the running: median, 95 %."""
        waited: list[float] = []
        async with self._crew(kind, 1) as (crew, redis, keys):
            for number in range(1, WARM_UPS + self._plan.pick_ups + 1):
                await asyncio.sleep(random.uniform(*GAPS))  # noqa: S311  # no secret
                sent = time.monotonic()
                await _send(redis, keys, 1)
                (reading,) = await crew.counted(number, seconds=PICK_UP_SECONDS)
                waited.append(reading.last - sent)
        latency = latency_of(waited[WARM_UPS:])
        assert latency is not None  # noqa: S101  # there is at least one
        return latency.p50, latency.p95

    @asynccontextmanager
    async def _crew(self, kind: str, workers: int) -> AsyncIterator[tuple[Crew, ArqRedis, Keys]]:
        keys = Keys(prefix=f"bench-{uuid4().hex}")
        redis = connect(self._url, keys)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._plan.folder))
        try:
            environment = {**os.environ, URL_VARIABLE: self._url}
            async with working(folder, workers, MODULE, kind, keys.prefix, environment=environment) as crew:
                yield crew, redis, keys
            await redis.flushall()
        finally:
            await redis.aclose()


async def _send(redis: ArqRedis, keys: Keys, count: int) -> None:
    now = datetime.now(UTC)
    await Queue(redis, keys).send([WakeUp(uuid4(), 0, now) for _ in range(count)])
