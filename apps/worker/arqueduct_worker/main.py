"""A worker process: opens everything, lets arq deliver wake-ups, and ends without losing a job."""

import asyncio
import os
import random
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
import uvloop
from arq import Retry
from arq.connections import ArqRedis
from arq.worker import Worker, func

from arqueduct import embedding, lag, logs
from arqueduct.bus import AWAY, Bus, connect, deserialize, serialize
from arqueduct.database import Database, Role
from arqueduct.dispatcher import Dispatcher
from arqueduct.embedding import Embedder, EmbeddingModel
from arqueduct.errors import DependencyUnavailable, SetupError
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.pipeline import registry
from arqueduct.queue import FUNCTION, Queue
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct_worker.control import listen
from arqueduct_worker.leases import Leases, Stop
from arqueduct_worker.parsing.pool import ParserPool
from arqueduct_worker.probes import Probes
from arqueduct_worker.reporter import Reporter
from arqueduct_worker.runner import Runner
from arqueduct_worker.services import Services
from arqueduct_worker.sweeper import Sweeper
from arqueduct_worker.workspace import open_workspace

__all__ = ["run"]

log = structlog.get_logger()

POLL_SECONDS = 0.02
"""arq asks Redis this often: a job waits 10 ms in the mean."""

ARQ_TIMEOUT_SECONDS = 24 * 3600
"""arq's own limit must never fire: it would end a job behind the back of its lease."""

QUEUE_READ_LIMIT = 5000
"""arq leaves running jobs in its set, and each worker reads only the first so many: more than a fleet runs at once."""

SETTLE_SECONDS = 10
"""After the grace period, how long attempts may take to hand their jobs back."""

CANCEL_AGAIN_SECONDS = 0.5

SPARE_CONNECTIONS = 4
"""Each job that is storing holds a connection; heartbeat, progress, ends and sweeps must never wait for one."""

NICE = 5
"""Answering people comes before embedding: on a full machine the API gets the CPU first."""


def run(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    logs.configure(settings)
    os.nice(NICE)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with open_services(settings) as (services, redis, keys):
        worker = Worker(
            functions=[func(_deliver(Runner(services)), name=FUNCTION, max_tries=2**31)],
            redis_pool=redis,
            queue_name=keys.queue,
            max_jobs=settings.worker_concurrency,
            poll_delay=POLL_SECONDS,
            queue_read_limit=QUEUE_READ_LIMIT,
            job_timeout=ARQ_TIMEOUT_SECONDS,
            keep_result=0,
            handle_signals=False,
            health_check_interval=3600,
            job_serializer=serialize,
            job_deserializer=deserialize,
        )
        probes = Probes(host=settings.host, port=settings.worker_metrics_port, is_alive=lambda: _is_alive(services))
        await _announce(settings, await probes.start())
        sweeper = Sweeper(services)
        background = [
            asyncio.create_task(task)
            for task in (
                services.leases.run(),
                services.reporter.run(),
                sweeper.run(),
                sweeper.beat(),
                listen(redis, keys, services.leases),
                _deliveries(worker),
                lag.watch(),
            )
        ]
        log.info("worker started", worker=services.name, concurrency=settings.worker_concurrency)
        try:
            await _until(stopping, background)
            await _drain(worker, services)
        finally:
            await _end(background)
            await probes.stop()
    log.info("worker stopped", worker=services.name)


@asynccontextmanager
async def open_services(
    settings: Settings, *, embedder: Embedder | None = None
) -> AsyncIterator[tuple[Services, ArqRedis, Keys]]:
    """Everything that jobs share, opened in order and closed in reverse; by default the embedder of the settings."""
    keys = Keys(prefix=settings.redis_prefix)
    url = settings.worker_database_url or settings.database_url
    if url is None or settings.redis_url is None:
        raise SetupError("A worker needs DATABASE_URL and REDIS_URL; `arqueduct up` starts servers and sets both.")
    async with AsyncExitStack() as stack:
        database = Database(
            url.get_secret_value(),
            Role.WORKER,
            pool_size=max(settings.database_pool_size, settings.worker_concurrency + SPARE_CONNECTIONS),
            name="arqueduct-worker",
        )
        stack.push_async_callback(database.aclose)
        redis = connect(settings.redis_url.get_secret_value(), keys)
        stack.push_async_callback(redis.aclose)
        embedder = embedder or embedding.open_embedder(settings)
        stack.push_async_callback(embedder.aclose)
        parsers = await stack.enter_async_context(ParserPool(settings))
        folder = await asyncio.to_thread(open_workspace, settings)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        bus, queue = Bus(redis, keys), Queue(redis, keys)
        dispatcher = Dispatcher(database, bus, queue)
        stack.push_async_callback(dispatcher.aclose)
        leases = Leases(database, lease=settings.lease_time, interval=settings.heartbeat)
        yield (
            Services(
                settings=settings,
                database=database,
                storage=Storage.open(settings.effective_storage_url),
                embedder=embedder,
                model_id=await _model_id(database, embedder.model),
                parsers=parsers,
                registry=registry(),
                queue=queue,
                dispatcher=dispatcher,
                leases=leases,
                reporter=Reporter(
                    database,
                    bus,
                    interval=settings.progress_interval,
                    on_lost=lambda job_id, fence: leases.end(job_id, Stop.LOST, fence=fence),
                ),
                folder=folder,
                name=f"{socket.gethostname()}:{os.getpid()}:{str(new_id())[-8:]}",
            ),
            redis,
            keys,
        )


def _deliver(runner: Runner) -> Any:
    async def run_job(_ctx: dict[str, Any], job_id: str, dispatch: int) -> None:
        try:
            await runner.run(UUID(job_id), dispatch)
        except DependencyUnavailable as error:
            log.warning("not claimed: Postgres is away", job=job_id, error=str(error))
            raise Retry(defer=timedelta(seconds=random.uniform(0.5, 5))) from error  # noqa: S311  # spreads load

    return run_job


async def _deliveries(worker: Worker) -> None:
    """arq's loop, through any loss of Redis: the jobs that run meanwhile go on."""
    while True:
        try:
            await worker.main()
        except AWAY as error:
            log.warning("queue lost", error=str(error))
            await asyncio.sleep(1)


async def _until(stopping: asyncio.Event, background: list["asyncio.Task[Any]"]) -> None:
    """Waits for the signal, or for a background task to break, which none should."""
    signalled = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({signalled, *background}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    for task in done - {signalled}:
        task.result()


async def _end(tasks: list["asyncio.Task[Any]"]) -> None:
    """Cancels until it is heard: Python 3.11's `wait_for`, inside redis-py, can swallow a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)


async def _drain(worker: Worker, services: Services) -> None:
    """No new job; what ends within the grace period ends, the rest goes back into the queue."""
    worker.allow_pick_jobs = False
    log.info("worker stopping", jobs=len(services.leases), grace=services.settings.shutdown_grace)
    if not await services.leases.idle(services.settings.shutdown_grace):
        services.leases.end_all(Stop.SHUTDOWN)
        await services.leases.idle(SETTLE_SECONDS)


async def _model_id(database: Database, model: EmbeddingModel) -> int:
    async with database.transaction() as transaction:
        found = await transaction.driver.fetchval("SELECT id FROM embedding_models WHERE name = $1", model.name)
    if found is None:
        raise SetupError(f"The database does not know the embedding model {model.name}: run `arqueduct migrate up`.")
    return int(found)


def _is_alive(services: Services) -> bool:
    return services.leases.silent_for < services.settings.lease


async def _announce(settings: Settings, port: int) -> None:
    """Tells `arqueduct up` where this process answers."""
    await asyncio.to_thread(_write_announcement, settings, port)


def _write_announcement(settings: Settings, port: int) -> None:
    settings.temporary_dir.mkdir(parents=True, exist_ok=True)
    path = settings.temporary_dir / f"worker-{os.getpid()}.json"
    path.write_text(f'{{"pid": {os.getpid()}, "metrics_port": {port}}}')
