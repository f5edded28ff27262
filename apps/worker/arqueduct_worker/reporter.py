"""Progress on its way to the row and to the wire: newest states only, many jobs in one statement.

What is published has been written before, so a client that reloads never sees less than it saw.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias
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

Attempt: TypeAlias = tuple[UUID, int]
"""Job and fence: an attempt that lost its job may still talk while its successor runs in the same process."""

PACE_SECONDS = 0.03
"""Between two batches: stages that are over in milliseconds share a statement, and nobody sees the difference."""

RETRY_SECONDS = 1.0
"""Pause after Postgres refused a batch; meanwhile newer states replace older ones."""


class Reporter:
    """Collects steps and writes them: a new stage at once (or with those of the next few milliseconds, where others
    were just written), progress within a stage at most every `interval` seconds."""

    def __init__(self, database: Database, bus: Bus, *, interval: float, on_lost: Callable[[UUID, int], None]) -> None:
        self._database = database
        self._bus = bus
        self._interval = interval
        self._on_lost = on_lost
        self._pending: dict[Attempt, list[Step]] = {}
        self._written: dict[Attempt, float] = {}
        self._users: dict[Attempt, UUID | None] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def open(self, attempt: Attempt, user_id: UUID | None) -> None:
        """From now on steps of this attempt are taken, for this user; None: they are written and not told."""
        self._users[attempt] = user_id

    def close(self, attempt: Attempt) -> None:
        """What was not written yet is dropped: the attempt has ended, or the job belongs to another."""
        self._users.pop(attempt, None)
        self._pending.pop(attempt, None)
        self._written.pop(attempt, None)

    def say(self, step: Step) -> None:
        """Takes a step; of those within one stage only the newest is kept."""
        attempt = step.job_id, step.fence
        if attempt not in self._users:
            return
        waiting = self._pending.setdefault(attempt, [])
        if waiting and not step.is_new_stage and not waiting[-1].is_new_stage:
            waiting[-1] = step
        else:
            waiting.append(step)
        self._wake.set()

    async def flush(self, *attempts: Attempt) -> None:
        """Returns when everything these attempts said so far is written and published."""
        async with self._writing:
            if waiting := [attempt for attempt in attempts if attempt in self._pending]:
                await self._write(waiting)

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
            except Exception:  # one job's nonsense must not silence all others; its batch is dropped
                log.exception("progress refused")
                self._wake.set()
            if self._pending:
                asyncio.get_running_loop().call_later(self._interval / 2, self._wake.set)
            await asyncio.sleep(PACE_SECONDS)

    def _due(self) -> list[Attempt]:
        now = time.monotonic()
        return [
            attempt
            for attempt, steps in self._pending.items()
            if steps[0].is_new_stage or now - self._written.get(attempt, 0.0) >= self._interval
        ]

    async def _write(self, due: Iterable[Attempt]) -> None:
        taken = {attempt: self._pending.pop(attempt) for attempt in due}
        steps = [step for waiting in taken.values() for step in waiting]
        try:
            async with self._database.autocommit() as driver:
                messages = await jobs.advance(driver, steps)
        except DependencyUnavailable:
            self._put_back(taken)
            raise
        now = time.monotonic()
        told = []
        for step, message in zip(steps, messages, strict=True):
            user_id = self._users.get((step.job_id, step.fence))
            if message is None:
                self._on_lost(step.job_id, step.fence)
            elif user_id is not None:
                self._written[step.job_id, step.fence] = now
                told.append((user_id, events.encode(message)))
        await self._bus.publish(told)

    def _put_back(self, taken: dict[Attempt, list[Step]]) -> None:
        for attempt, steps in taken.items():
            if attempt in self._users:
                newer = self._pending.get(attempt, [])
                stages = [step for step in steps if step.is_new_stage]
                self._pending[attempt] = [*(stages if newer else steps), *newer]
