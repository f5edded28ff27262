"""A worker of a test that takes every job as it comes, as one that is woken by the queue does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.integration.worker import TestWorker

__all__ = ["labouring"]

WAITING = "SELECT id, dispatch FROM jobs WHERE state = 'queued' ORDER BY created_at"
PAUSE_SECONDS = 0.05


@asynccontextmanager
async def labouring(worker: TestWorker) -> AsyncIterator[None]:
    """While the block lasts."""
    task = asyncio.create_task(_labour(worker))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _labour(worker: TestWorker) -> None:
    while True:
        async with worker.services.database.transaction() as transaction:
            waiting = await transaction.driver.fetch(WAITING)
        for job_id, dispatch in waiting:
            await worker.run(job_id, dispatch)
        await asyncio.sleep(PAUSE_SECONDS)
