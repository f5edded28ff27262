"""Keeps the run-way in Redis filled from the line in Postgres. Runs in every API process and every worker.

Whoever commits a job, claims one or ends one gives a nudge; nothing depends on it, since every process also looks
by itself.
"""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.queue import Queue
from arqueduct.repositories import admission

__all__ = ["Admitter"]

log = structlog.get_logger()

LEAST_PAUSE = 0.02
"""Between two looks: under load one look then serves many nudges."""
STOP_SECONDS = 5.0
"""A look takes milliseconds; with a server away it may take as long as this."""
LEAST_DUE = 0.1
"""Until the next look at jobs that are due and could not be taken: somebody holds their rows."""
AWAY_PAUSE = 1.0
"""After a look that failed."""


class Admitter:
    """Moves jobs whose turn has come from the line to the run-way."""

    def __init__(self, database: Database, queue: Queue, *, alive: timedelta, interval: float) -> None:
        self._database = database
        self._queue = queue
        self._alive = alive
        self._interval = interval
        self._nudged = asyncio.Event()
        self._is_stopping = False
        self._has_stopped = asyncio.Event()
        self._has_stopped.set()
        self._error: str | None = None

    @property
    def error(self) -> str | None:
        """Why the last look failed; None if it did not."""
        return self._error

    def nudge(self) -> None:
        """There may be a job to admit, or room for one."""
        self._nudged.set()

    async def run(self) -> None:
        """Looks until it is stopped: when nudged, when a job comes due, and every `interval` seconds."""
        self._has_stopped.clear()
        try:
            while not self._is_stopping:
                pause = await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._nudged.wait()
                await asyncio.sleep(LEAST_PAUSE)
        finally:
            self._has_stopped.set()

    async def stop(self) -> None:
        """Lets a look under way come to its end: what it took out of the line is sent, or put back."""
        self._is_stopping = True
        self.nudge()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._has_stopped.wait()

    async def admit(self) -> float | None:
        """One look; returns the seconds until the next job comes due. Raises `DependencyUnavailable`."""
        self._nudged.clear()
        async with self._database.autocommit() as driver:
            admitted = await admission.admit(driver, alive=self._alive)
        if admitted.wake_ups and not await self._queue.send(admitted.wake_ups):
            async with self._database.autocommit() as driver:
                await admission.unadmit(driver, admitted.wake_ups)
            raise DependencyUnavailable("Redis is away")
        return admitted.next_due_seconds

    async def _look(self) -> float:
        """Seconds until the next look is due."""
        try:
            due_in = await self.admit()
        except DependencyUnavailable as error:
            self._error = str(error)
            log.warning("jobs not admitted", error=str(error))
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"
            log.exception("jobs not admitted")
        else:
            self._error = None
            return self._interval if due_in is None else min(self._interval, max(due_in, LEAST_DUE))
        await asyncio.sleep(AWAY_PAUSE)
        return 0.0
