"""The worker as a process of its own, woken by arq."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from arq.connections import ArqRedis

from arqueduct.bus import Bus
from arqueduct.database import Database
from arqueduct.events import Control
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.lifecycle import Action
from arqueduct.models import Job
from arqueduct.queue import Queue, WakeUp
from arqueduct.settings import Settings
from tests.integration.worker import TestWorker, row, submit, until, working

COMMAND = "from arqueduct.settings import load; from arqueduct_worker.main import run; run(load())"


def environment(settings: Settings) -> dict[str, str]:
    """The settings of the test, as variables."""
    values = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        values[f"ARQUEDUCT_{name.upper()}"] = str(getattr(value, "get_secret_value", lambda v=value: v)())
    return values


@asynccontextmanager
async def worker_process(settings: Settings) -> AsyncIterator[Process]:
    """Started and ready; ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, env={**os.environ, **environment(settings)}
    )
    try:
        announcement = settings.temporary_dir / f"worker-{process.pid}.json"
        await until(lambda: asyncio.to_thread(announcement.exists), seconds=30)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def helper(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    """Only to submit and to look: it takes no wake-up."""
    async with working(settings, me) as running:
        yield running


async def send(redis: ArqRedis, keys: Keys, job: Job) -> None:
    assert job.run_after is not None
    await Queue(redis, keys).send([WakeUp(job.id, 0, job.run_after)])


async def state(database: Database, job: Job) -> str:
    return str((await row(database, job.id))["state"])


async def test_a_woken_worker_completes_a_job_and_serves_its_metrics(
    settings: Settings, helper: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    job = await submit(helper, me, b"Water flows downhill. " * 50, format=Format.TEXT)
    async with worker_process(local(settings)) as process:
        await send(redis, keys, job)

        async def completed() -> bool:
            return await state(helper.services.database, job) == "completed"

        await until(completed, seconds=120)
        port = json.loads((settings.temporary_dir / f"worker-{process.pid}.json").read_text())["metrics_port"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            page = (await client.get("/metrics")).text
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/other")).status_code == 404
    assert 'document_processing_duration_seconds_count{stage="embed"} 1.0' in page
    assert "active_processing_jobs 0.0" in page


async def test_a_terminated_worker_hands_its_job_back_and_exits(
    settings: Settings, helper: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    text = "".join(f"Sentence number {number} is unlike all the others. " for number in range(20_000))
    job = await submit(helper, me, text.encode(), format=Format.TEXT)
    impatient = local(settings).model_copy(update={"shutdown_grace": 0.1, "sweep": 60.0})
    async with worker_process(impatient) as process:
        await send(redis, keys, job)

        async def embedding() -> bool:
            return (await row(helper.services.database, job.id))["stage"] == "embedding"

        await until(embedding, seconds=120)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0
    found = await row(helper.services.database, job.id)
    assert (found["state"], found["failures"], found["crashes"], found["dispatch"]) == ("queued", 0, 0, 1)


async def test_a_cancel_is_heard_at_once(
    settings: Settings, helper: TestWorker, me: NewIdentity, redis: ArqRedis, keys: Keys
) -> None:
    text = "".join(f"Sentence number {number} is unlike all the others. " for number in range(20_000))
    job = await submit(helper, me, text.encode(), format=Format.TEXT)
    deaf = local(settings).model_copy(update={"heartbeat": 9.0, "lease": 30.0})
    async with worker_process(deaf):
        await send(redis, keys, job)

        async def embedding() -> bool:
            return (await row(helper.services.database, job.id))["stage"] == "embedding"

        async def cancelled() -> bool:
            return await state(helper.services.database, job) == "cancelled"

        await until(embedding, seconds=120)
        async with helper.services.database.transaction() as transaction:
            await transaction.driver.execute("UPDATE jobs SET cancel_requested = true WHERE id = $1", job.id)
        await Bus(redis, keys).tell_workers(Control(action=Action.CANCEL, job_id=job.id))
        await until(cancelled, seconds=4)


def local(settings: Settings) -> Settings:
    """With leases that a busy machine keeps: three other processes load models at the same time."""
    return settings.model_copy(update={"log_level": "warning", "lease": 30.0, "heartbeat": 2.0})
