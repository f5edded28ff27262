"""A worker of a test that takes every job as it comes, as one that is woken by the queue does, and keeps parents."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arqueduct_worker.families import Families
from tests.integration.worker import TestWorker

__all__ = ["labouring"]

WAITING = "SELECT id, dispatch FROM jobs WHERE state = 'queued' AND children IS NULL ORDER BY created_at"
PAUSE_SECONDS = 0.05


@asynccontextmanager
async def labouring(worker: TestWorker) -> AsyncIterator[None]:
    """While the block lasts, which ends when the worker fails."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(task) for task in (_labour(worker), Families(worker.services).run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _labour(worker: TestWorker) -> None:
    while True:
        async with worker.services.database.transaction() as transaction:
            waiting = await transaction.driver.fetch(WAITING)
        for job_id, dispatch in waiting:
            await worker.run(job_id, dispatch)
        await asyncio.sleep(PAUSE_SECONDS)
