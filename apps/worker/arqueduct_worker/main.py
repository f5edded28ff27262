"""A worker process: opens everything, lets arq deliver wake-ups, and ends without losing a job."""

import asyncio
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog
import uvloop
from arq import Retry
from arq.connections import ArqRedis

from arqueduct import embedding, lag, logs
from arqueduct.admitter import Admitter
from arqueduct.bus import Bus, connect
from arqueduct.database import Database, Role
from arqueduct.dispatcher import Dispatcher
from arqueduct.embedding import Embedder, EmbeddingModel
from arqueduct.errors import DependencyUnavailable, SetupError
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.pipeline import Registry, registry
from arqueduct.queue import Queue
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import End
from arqueduct.room import Room
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from arqueduct.shared import Shared
from arqueduct.storage import Storage
from arqueduct.together import Together
from arqueduct.webhooks.addresses import Guard
from arqueduct.webhooks.sender import Sender
from arqueduct_worker.control import listen
from arqueduct_worker.deliveries import AnyWorker, open_worker
from arqueduct_worker.families import Families
from arqueduct_worker.housekeeping import Housekeeping
from arqueduct_worker.janitor import Janitor
from arqueduct_worker.leases import Leases, Stop
from arqueduct_worker.merger import Merger
from arqueduct_worker.parsing.pool import ParserPool
from arqueduct_worker.probes import Probes
from arqueduct_worker.reporter import Reporter
from arqueduct_worker.run_log import RunLog
from arqueduct_worker.runner import Runner
from arqueduct_worker.services import Services
from arqueduct_worker.shared_ends import SharedEnds
from arqueduct_worker.slots import Slots
from arqueduct_worker.sweeper import Sweeper
from arqueduct_worker.workspace import open_workspace

__all__ = ["run"]

log = structlog.get_logger()

SETTLE_SECONDS = 10
"""After the grace period, how long attempts may take to hand their jobs back."""

AWAY_SECONDS = 1.0
"""Between two tries to reach Postgres at the start."""

CANCEL_AGAIN_SECONDS = 0.5
IDLE_SECONDS = 0.02

VITAL_CONNECTIONS = 8
"""For heartbeat, progress, claims, ends, sweeps and housekeeping: they must never wait for a job that is storing, which
holds a connection for as long as that takes."""

TURN_SECONDS = 600.0
"""How long a job waits for its turn at one of the other connections, which jobs hold while they store. A statement
that hangs is ended after a minute, a job by its own limits."""

READ_AHEAD = 3
"""Times what is asked of the embedder at a time: it never waits for texts, and memory does not grow with the jobs."""

THREADS = 32
"""For files: most of their time goes into waiting for the disk."""

NICE = 5
"""Answering people comes before embedding: on a full machine the API gets the CPU first."""


def run(settings: Settings, installed: Registry | None = None) -> None:
    """Runs until SIGTERM or SIGINT; by default with the pipelines and stages that are installed."""
    logs.configure(settings)
    os.nice(NICE)
    uvloop.run(_run(settings, installed))


async def _run(settings: Settings, installed: Registry | None) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "files"))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    probes = Probes(host=settings.host, port=settings.worker_metrics_port)
    async with AsyncExitStack() as stack:
        port = await probes.start()
        stack.push_async_callback(probes.stop)
        opened = open_services(settings, installed=installed, on_wait=probes.waits)
        opening = asyncio.create_task(stack.enter_async_context(opened))
        await _until(stopping, [opening])
        if stopping.is_set():  # while it waited for Postgres, perhaps
            await _end([opening])
        else:
            await _work(stopping, probes, port, *opening.result())


async def _work(
    stopping: asyncio.Event, probes: Probes, port: int, services: Services, redis: ArqRedis, keys: Keys
) -> None:
    settings = services.settings
    worker = open_worker(settings, redis, keys, _deliver(Runner(services)), services.slots)
    probes.opened(services, worker)
    await _announce(settings, port)
    sweeper, families = Sweeper(services), Families(services)
    background = [
        asyncio.create_task(task)
        for task in (
            services.leases.run(),
            services.reporter.run(),
            services.runs.run(),
            sweeper.run(),
            sweeper.beat(),
            sweeper.watch(),
            families.run(),
            families.run_steering(),
            Housekeeping(services).run(),
            Janitor(services).run(),
            Merger(services).run(),
            listen(redis, keys, services.leases),
            services.admitter.run(),
            worker.main(),
            lag.watch(),
        )
    ]
    log.info("worker started", worker=services.name, concurrency=settings.worker_concurrency)
    try:
        await _until(stopping, background)
        await _drain(worker, services)
        await services.runs.stop()
    finally:
        await _end(background)
    log.info("worker stopped", worker=services.name)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    installed: Registry | None = None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[tuple[Services, ArqRedis, Keys]]:
    """Everything that jobs share, opened in order and closed in reverse; by default the embedder of the settings.

    `on_wait` is told why Postgres cannot be used yet. Raises `SetupError` for what waiting does not mend.
    """
    keys = Keys(prefix=settings.redis_prefix)
    url = settings.worker_database_url or settings.database_url
    if url is None or settings.redis_url is None:
        raise SetupError("A worker needs DATABASE_URL and REDIS_URL; `arqueduct up` starts servers and sets both.")
    async with AsyncExitStack() as stack:
        database = Database(
            url.get_secret_value(),
            Role.WORKER,
            pool_size=VITAL_CONNECTIONS,
            name="arqueduct-worker",
        )
        stack.push_async_callback(database.aclose)
        stage_database = Database(
            url.get_secret_value(),
            Role.WORKER,
            pool_size=min(settings.database_pool_size, settings.worker_concurrency),
            patience=TURN_SECONDS,
            name="arqueduct-worker-jobs",
        )
        stack.push_async_callback(stage_database.aclose)
        redis = connect(settings.redis_url.get_secret_value(), keys)
        stack.push_async_callback(redis.aclose)
        embedder = embedder or embedding.open_embedder(settings)
        stack.push_async_callback(embedder.aclose)
        parsers = await stack.enter_async_context(ParserPool(settings))
        # Half of the slots at most wait for receivers, so the other half has documents.
        secret_keys = await asyncio.to_thread(SecretKeys.of, settings)
        sender = Sender(Guard.of(settings), secret_keys, at_once=max(1, settings.worker_concurrency // 2))
        stack.push_async_callback(sender.aclose)
        folder = await asyncio.to_thread(open_workspace, settings)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        model_id = await _model_id(database, embedder.model, on_wait)  # may wait long; leases count from after it
        bus, queue = Bus(redis, keys), Queue(redis, keys)
        admitter = Admitter(database, queue, alive=settings.alive_time, interval=settings.sweep)
        leases = Leases(database, lease=settings.lease_time, interval=settings.heartbeat)
        reporter = Reporter(
            database,
            bus,
            interval=settings.progress_interval,
            on_lost=lambda job_id, fence: leases.end(job_id, Stop.LOST, fence=fence),
        )
        shared = Shared(stage_database)
        yield (
            Services(
                settings=settings,
                database=database,
                stage_database=stage_database,
                storage=Storage.open(settings.effective_storage_url),
                embedder=embedder,
                texts=Room(READ_AHEAD * settings.embedding_requests * embedder.batch),
                model_id=model_id,
                parsers=parsers,
                sender=sender,
                registry=installed or registry(),
                queue=queue,
                admitter=admitter,
                dispatcher=Dispatcher(bus, admitter),
                slots=Slots(),
                shared=shared,
                shared_ends=SharedEnds(shared, reporter),
                completions=Together(lambda ends: _complete(database, ends)),
                leases=leases,
                reporter=reporter,
                runs=RunLog(database),
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


async def _drain(worker: AnyWorker, services: Services) -> None:
    """No new job; what ends within the grace period ends, the rest goes back into the queue."""
    worker.allow_pick_jobs = False
    log.info("worker stopping", jobs=len(services.leases), grace=services.settings.shutdown_grace)
    if not await _idle(worker, services.settings.shutdown_grace, lambda: None):
        # Again and again: a claim under way may still bring an attempt.
        await _idle(worker, SETTLE_SECONDS, lambda: services.leases.end_all(Stop.SHUTDOWN))
    await services.admitter.stop()


async def _idle(worker: AnyWorker, within: float, meanwhile: Callable[[], None]) -> bool:
    """Waits until no wake-up is being followed, be it only taken yet; returns whether that came."""
    deadline = time.monotonic() + within
    while not worker.is_idle and time.monotonic() < deadline:
        meanwhile()
        await asyncio.sleep(IDLE_SECONDS)
    return worker.is_idle


async def _complete(database: Database, ends: Sequence[End]) -> list[asyncpg.Record | None]:
    async with database.autocommit() as driver:
        rows = await jobs.complete_all(driver, ends)
    ended = {(row["id"], row["fence"]): row for row in rows}
    return [ended.get((end.job_id, end.fence)) for end in ends]


async def _model_id(database: Database, model: EmbeddingModel, on_wait: Callable[[str], None]) -> int:
    """Waits for a Postgres that is away: whoever starts workers may start its servers later."""
    while True:
        try:
            async with database.transaction() as transaction:
                found = await transaction.driver.fetchval("SELECT id FROM embedding_models WHERE name = $1", model.name)
            break
        except (asyncpg.UndefinedTableError, ValueError) as error:
            # A connection asks for the types of pgvector first, and of one that is missing it says no more than that.
            if isinstance(error, ValueError) and not str(error).startswith("unknown type"):
                raise
            raise SetupError("This database has no tables yet, or old ones: run `arqueduct migrate up`.") from error
        except DependencyUnavailable as error:
            log.warning("worker waits", error=str(error))
            on_wait(str(error))
            await asyncio.sleep(AWAY_SECONDS)
    if found is None:
        raise SetupError(f"The database does not know the embedding model {model.name}: run `arqueduct migrate up`.")
    return int(found)


async def _announce(settings: Settings, port: int) -> None:
    """Tells `arqueduct up` that this process has opened everything, and where it answers."""
    await asyncio.to_thread(_write_announcement, settings, port)


def _write_announcement(settings: Settings, port: int) -> None:
    settings.temporary_dir.mkdir(parents=True, exist_ok=True)
    path = settings.temporary_dir / f"worker-{os.getpid()}.json"
    part = path.with_suffix(".part")
    part.write_text(f'{{"pid": {os.getpid()}, "metrics_port": {port}}}')
    part.rename(path)  # whoever sees it sees all of it
