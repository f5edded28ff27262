"""A worker process of the wake-up contest: `python -m arqueduct.cli.queue_bench.worker KIND PREFIX TALLY PARENT`.

The address of Redis comes by the environment, because it holds a password.
"""

import asyncio
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop
from arq.connections import ArqRedis
from arq.worker import Worker, func

from arqueduct.bus import connect, deserialize, serialize
from arqueduct.cli.queue_bench.tally import Tally
from arqueduct.keys import Keys
from arqueduct.queue import FUNCTION
from arqueduct.supervisor.parent import die_with

__all__ = ["MAX_JOBS", "URL_VARIABLE", "main"]

URL_VARIABLE = "ARQUEDUCT_REDIS_URL"

MAX_JOBS = 100
"""Of both; from here on stock arq no longer gains."""

STOCK_BEST: dict[str, Any] = {"poll_delay": 0.01, "keep_result": 0, "queue_read_limit": 5000}
"""What makes arq's own worker fastest, besides uvloop and msgpack; its default of 500 ids a look was no faster."""

READY_SECONDS = 0.005


def main(kind: str, prefix: str, tally: str, parent: str) -> None:
    """Runs until it is killed."""
    die_with(int(parent), signal.SIGKILL)
    uvloop.run(_work(kind, Keys(prefix=prefix), Tally(Path(tally))))


async def _work(kind: str, keys: Keys, tally: Tally) -> None:
    async def run_job(_ctx: dict[str, Any], _job_id: str, _dispatch: int) -> None:
        tally.tick()

    redis = connect(os.environ[URL_VARIABLE], keys)
    worker = _open(kind, redis, keys, run_job)
    working = asyncio.create_task(worker.main())
    while not (working.done() or await _is_ready(worker, redis)):
        await asyncio.wait({working}, timeout=READY_SECONDS)
    tally.be_ready()
    await working


def _open(kind: str, redis: ArqRedis, keys: Keys, run_job: Any) -> Worker:
    options: dict[str, Any] = {
        "functions": [func(run_job, name=FUNCTION)],
        "redis_pool": redis,
        "queue_name": keys.queue,
        "max_jobs": MAX_JOBS,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "handle_signals": False,
        "health_check_key": f"{keys.queue}:health:{os.getpid()}",
    }
    if kind == "stock":
        return Worker(**options, **STOCK_BEST)
    deliveries = importlib.import_module("arqueduct_worker.deliveries")
    worker: Worker = deliveries.BatchWorker(channel=keys.wake, **options)
    return worker


async def _is_ready(worker: Worker, redis: ArqRedis) -> bool:
    """Stock arq shows in its health key that it has looked at the queue."""
    if hasattr(worker, "is_connected"):
        return bool(worker.is_connected)
    return bool(await redis.exists(worker.health_check_key))


if __name__ == "__main__":
    main(*sys.argv[1:])
