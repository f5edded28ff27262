"""What follows the commit of a job's new state: tell its user, and have it admitted if it waits.

All of it may fail, because the row is committed: clients read it again, and admitters look by themselves.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from arqueduct import events
from arqueduct.admitter import Admitter
from arqueduct.bus import Bus
from arqueduct.lifecycle import Action
from arqueduct.repositories import jobs
from arqueduct.together import Together
from arqueduct.webhooks.kinds import is_ours

__all__ = ["Dispatcher"]

log = structlog.get_logger()

MOST_SECONDS = 2.0
"""The caller waits for an answer; a Redis that swallows packets must not keep it waiting longer."""


class Dispatcher:
    """Announces committed states of jobs, and sees that those that are queued get their turn."""

    def __init__(self, bus: Bus, admitter: Admitter) -> None:
        self._bus = bus
        self._admitter = admitter
        self._messages = Together(self._publish)

    async def announce(self, rows: Sequence[asyncpg.Record]) -> None:
        """Publishes the states that statements of `repositories.jobs` returned, each to its user."""
        told = [row for row in rows if not is_ours(row["kind"])]
        if not told:
            return
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._messages.ask([(row["user_id"], events.encode(jobs.message_of(row))) for row in told])
        except TimeoutError:
            log.warning("publish took too long", messages=len(told))

    async def _publish(self, batches: Sequence[Sequence[tuple[UUID, bytes]]]) -> list[None]:
        await self._bus.publish(message for batch in batches for message in batch)
        return [None for _ in batches]

    async def dispatch(self, rows: Sequence[asyncpg.Record]) -> None:
        """Announces the rows, and has those admitted whose turn has come. Never raises for what is away."""
        self._admitter.nudge()
        await self.announce(rows)

    async def tell(self, action: Action, job_ids: Sequence[UUID]) -> None:
        """Tells workers at once what was asked of these running jobs; their heartbeats find out anyway."""
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._bus.tell_workers(*(events.Control(action=action, job_id=job_id) for job_id in job_ids))
        except TimeoutError:
            log.warning("workers not told", jobs=len(job_ids))
