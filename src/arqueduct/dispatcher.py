"""What follows the commit of new or requeued jobs: tell their users, wake a worker, note that it was done.

All of it may fail, because the row is committed: clients read it again and the sweeper sends the wake-up.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from arqueduct import events
from arqueduct.bus import Bus
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.queue import Queue, WakeUp
from arqueduct.repositories import jobs

__all__ = ["Dispatcher"]

log = structlog.get_logger()

MOST_SECONDS = 2.0
"""The caller waits for an answer; a Redis that swallows packets must not keep it waiting longer."""


class Dispatcher:
    """Announces committed states of jobs, and sends the wake-ups of those that are queued."""

    def __init__(self, database: Database, bus: Bus, queue: Queue) -> None:
        self._database = database
        self._bus = bus
        self._queue = queue

    async def announce(self, rows: Sequence[asyncpg.Record]) -> None:
        """Publishes the states that statements of `repositories.jobs` returned, each to its user."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._bus.publish((row["user_id"], events.encode(jobs.message_of(row))) for row in rows)
        except TimeoutError:
            log.warning("publish took too long", messages=len(rows))

    async def dispatch(self, tenant_id: UUID, rows: Sequence[asyncpg.Record], wake_ups: Sequence[WakeUp]) -> None:
        """Announces the rows, sends the wake-ups, and marks them as sent. Never raises for what is away."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self.announce(rows)
                if not await self._queue.send(wake_ups):
                    return
                async with self._database.transaction(tenant_id) as transaction:
                    await jobs.mark_dispatched(transaction.driver, wake_ups)
        except (DependencyUnavailable, TimeoutError) as error:
            log.warning("jobs not dispatched; the sweeper will", error=str(error), jobs=len(wake_ups))

    async def stop(self, job_ids: Sequence[UUID]) -> None:
        """Tells workers at once to end these jobs; their heartbeats find out anyway."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._bus.tell_workers(
                    *(events.Control(action=events.CANCEL, job_id=job_id) for job_id in job_ids)
                )
        except TimeoutError:
            log.warning("workers not told", jobs=len(job_ids))
