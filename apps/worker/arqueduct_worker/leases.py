"""The jobs this process owns, and the heartbeat that keeps owning them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.repositories import jobs

__all__ = ["Lease", "Leases", "Stop"]

log = structlog.get_logger()

GIVE_UP_SHARE = 2 / 3
"""Of the lease without a successful heartbeat: then everything stops, well before another worker may begin."""

LEAST_SHARE = 1 / 8
"""Of the interval: for the last heartbeat before that, and between two while Postgres is away."""


class Stop(StrEnum):
    """Why an attempt is told to stop."""

    CANCEL = "cancel"
    """A user asked."""
    PAUSE = "pause"
    """A user asked; what is done is kept."""
    TIMEOUT = "timeout"
    """It ran longer than its kind may."""
    LOST = "lost"
    """Another attempt may run already; this one must not write a thing."""
    SHUTDOWN = "shutdown"
    """The process ends; the job goes back into the queue and nothing counts as a failure."""


@dataclass(kw_only=True)
class Lease:
    """One attempt's hold on its job."""

    job_id: UUID
    fence: int
    stop: Stop | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)

    def end(self, stop: Stop) -> None:
        """Cancels the attempt; the first reason counts."""
        if self.stop is None:
            self.stop = stop
            if self.task is not None:
                self.task.cancel()


class Leases:
    """All leases of a worker process, renewed together in one statement."""

    def __init__(self, database: Database, *, lease: timedelta, interval: float) -> None:
        self._database = database
        self._lease = lease
        self._interval = interval
        self._held: dict[UUID, Lease] = {}
        self._last_beat = time.monotonic()
        self._has_failed = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def silent_for(self) -> float:
        """Seconds since Postgres last confirmed the leases."""
        return time.monotonic() - self._last_beat

    @property
    def _patience(self) -> float:
        """Seconds until the leases must be given up."""
        return self._lease.total_seconds() * GIVE_UP_SHARE - self.silent_for

    @property
    def _pause(self) -> float:
        """To the next heartbeat, and for its answer; less after one that failed, so as not to outlast the leases."""
        if not self._has_failed:
            return self._interval
        if not self._held:
            return self._interval
        return min(self._interval, max(self._patience, LEAST_SHARE * self._interval))

    @contextmanager
    def hold(self, job_id: UUID, fence: int) -> Iterator[Lease]:
        """An attempt's lease for as long as a `with` lasts. One that this process still runs has lost the job."""
        lease = Lease(job_id=job_id, fence=fence)
        if predecessor := self._held.get(job_id):
            predecessor.end(Stop.LOST)
        self._held[job_id] = lease
        metrics.active_jobs.set(len(self._held))
        try:
            yield lease
        finally:
            if self._held.get(job_id) is lease:
                del self._held[job_id]
            metrics.active_jobs.set(len(self._held))

    def end(self, job_id: UUID, stop: Stop, *, fence: int | None = None) -> None:
        """Stops the attempt at a job, if it runs here (under this fence, if one is given)."""
        lease = self._held.get(job_id)
        if lease is not None and fence in (None, lease.fence):
            lease.end(stop)

    def end_all(self, stop: Stop) -> None:
        for lease in list(self._held.values()):
            lease.end(stop)

    async def run(self) -> None:
        """Beats for as long as the process lives."""
        while True:
            await self.beat()
            await asyncio.sleep(self._pause)

    async def beat(self) -> None:
        """One heartbeat. When Postgres stays away for too long, everything stops before the leases can lapse."""
        held = [(lease.job_id, lease.fence) for lease in self._held.values()]
        try:
            async with asyncio.timeout(self._pause), self._database.transaction() as transaction:
                owned = await jobs.heartbeat(transaction.driver, held, self._lease)
        except Exception as error:  # a cancelled query, a failover, a full disk: a beat that failed, and no more
            self._has_failed = True
            log.warning("heartbeat failed", error=repr(error), silent_for=round(self.silent_for, 1), jobs=len(held))
            if held and self._patience <= 0:
                self.end_all(Stop.LOST)
            return
        self._last_beat, self._has_failed = time.monotonic(), False
        for job_id, fence in held:
            row = owned.get(job_id)
            if row is None:
                self.end(job_id, Stop.LOST, fence=fence)
            elif row["cancel_requested"]:
                self.end(job_id, Stop.CANCEL, fence=fence)
            elif row["pause_requested"]:
                self.end(job_id, Stop.PAUSE, fence=fence)
