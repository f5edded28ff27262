"""Progress on its way to the row and to the wire: newest states only, many jobs in one statement.

What is published has been written before, so a client that reloads never sees less than it saw.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from arqueduct import events
from arqueduct.bus import Bus
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import Step

__all__ = ["Reporter"]

log = structlog.get_logger()

RETRY_SECONDS = 1.0
"""Pause after Postgres refused a batch; meanwhile newer states replace older ones."""


class Reporter:
    """Collects steps and writes them: a new stage at once, progress within a stage at most every `interval` seconds."""

    def __init__(self, database: Database, bus: Bus, *, interval: float, on_lost: Callable[[UUID, int], None]) -> None:
        self._database = database
        self._bus = bus
        self._interval = interval
        self._on_lost = on_lost
        self._pending: dict[UUID, list[Step]] = {}
        self._written: dict[UUID, float] = {}
        self._users: dict[UUID, UUID] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def open(self, job_id: UUID, user_id: UUID) -> None:
        """From now on steps of this job are taken, for this user."""
        self._users[job_id] = user_id

    def close(self, job_id: UUID) -> None:
        """What was not written yet is dropped: the job has ended, or belongs to someone else."""
        self._users.pop(job_id, None)
        self._pending.pop(job_id, None)
        self._written.pop(job_id, None)

    def say(self, step: Step) -> None:
        """Takes a step; of those within one stage only the newest is kept."""
        if step.job_id not in self._users:
            return
        waiting = self._pending.setdefault(step.job_id, [])
        if waiting and not step.is_new_stage and not waiting[-1].is_new_stage:
            waiting[-1] = step
        else:
            waiting.append(step)
        self._wake.set()

    async def flush(self, job_id: UUID) -> None:
        """Returns when everything said of this job so far is written and published."""
        async with self._writing:
            if job_id in self._pending:
                await self._write([job_id])

    async def run(self) -> None:
        """Writes what is due, for as long as the process lives."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with self._writing:
                    while due := self._due():
                        await self._write(due)
            except DependencyUnavailable as error:
                log.warning("progress not written", error=str(error), jobs=len(self._pending))
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()
            if self._pending:
                asyncio.get_running_loop().call_later(self._interval / 2, self._wake.set)

    def _due(self) -> list[UUID]:
        now = time.monotonic()
        return [
            job_id
            for job_id, steps in self._pending.items()
            if steps[0].is_new_stage or now - self._written.get(job_id, 0.0) >= self._interval
        ]

    async def _write(self, due: Iterable[UUID]) -> None:
        taken = {job_id: self._pending.pop(job_id) for job_id in due}
        steps = [step for waiting in taken.values() for step in waiting]
        try:
            async with self._database.transaction() as transaction:
                messages = await jobs.advance(transaction.driver, steps)
        except DependencyUnavailable:
            self._put_back(taken)
            raise
        now = time.monotonic()
        told = []
        for step, message in zip(steps, messages, strict=True):
            user_id = self._users.get(step.job_id)
            if message is None:
                self._on_lost(step.job_id, step.fence)
            elif user_id is not None:
                self._written[step.job_id] = now
                told.append((user_id, events.encode(message)))
        await self._bus.publish(told)

    def _put_back(self, taken: dict[UUID, list[Step]]) -> None:
        for job_id, steps in taken.items():
            if job_id in self._users:
                newer = self._pending.get(job_id, [])
                stages = [step for step in steps if step.is_new_stage]
                self._pending[job_id] = [*(stages if newer else steps), *newer]
