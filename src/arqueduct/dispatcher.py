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
from arqueduct.lifecycle import JobState
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
        self._marking: set[asyncio.Task[None]] = set()

    async def announce(self, rows: Sequence[asyncpg.Record]) -> None:
        """Publishes the states that statements of `repositories.jobs` returned, each to its user."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._bus.publish((row["user_id"], events.encode(jobs.message_of(row))) for row in rows)
        except TimeoutError:
            log.warning("publish took too long", messages=len(rows))

    async def dispatch(self, rows: Sequence[asyncpg.Record], *, tenant_id: UUID | None = None) -> None:
        """Announces the rows, and wakes workers for those that are queued. Never raises for what is away.

        Noting that the wake-ups were sent is nobody's answer to wait for, so it goes on behind; `tenant_id` is
        whose they are, where the caller serves one tenant.
        """
        await self.announce(rows)
        wake_ups = [jobs.wake_up_of(row) for row in rows if row["state"] == JobState.QUEUED]
        try:
            async with asyncio.timeout(MOST_SECONDS):
                sent = await self._queue.send(wake_ups)
        except TimeoutError:
            log.warning("dispatch took too long; the sweeper will send it again", jobs=len(wake_ups))
            return
        if wake_ups and sent:
            task = asyncio.create_task(self._mark(wake_ups, tenant_id))
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    async def aclose(self) -> None:
        """Waits for what goes on behind."""
        await asyncio.gather(*self._marking)

    async def _mark(self, wake_ups: Sequence[WakeUp], tenant_id: UUID | None) -> None:
        try:
            async with self._database.transaction(tenant_id) as transaction:
                await jobs.mark_dispatched(transaction.driver, wake_ups)
        except DependencyUnavailable as error:
            log.warning("wake-ups not noted; the sweeper will send them again", error=str(error), jobs=len(wake_ups))
        except Exception:
            log.exception("wake-ups not noted; the sweeper will send them again", jobs=len(wake_ups))

    async def stop(self, job_ids: Sequence[UUID]) -> None:
        """Tells workers at once to end these jobs; their heartbeats find out anyway."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._bus.tell_workers(
                    *(events.Control(action=events.CANCEL, job_id=job_id) for job_id in job_ids)
                )
        except TimeoutError:
            log.warning("workers not told", jobs=len(job_ids))
