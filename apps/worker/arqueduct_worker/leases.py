"""The jobs this process owns, and the heartbeat that keeps owning them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

import asyncpg
import structlog

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.repositories import jobs

__all__ = ["Lease", "Leases", "Stop"]

log = structlog.get_logger()

GIVE_UP_SHARE = 2 / 3
"""Of the lease without a successful heartbeat: then everything stops, well before another worker may begin."""

ANSWER_SHARE = 1 / 4
"""Of the lease, that one heartbeat may take: a Postgres under load that needs longer than the interval still answers,
and giving up sooner would only cost a new connection."""

LEAST_SHARE = 1 / 8
"""Of the interval: for the last heartbeat before the attempts stop, and between two while Postgres is away."""


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
    confirmed_at: float
    """On the monotonic clock, before it was asked for or last renewed: in Postgres it lasts longer, never shorter."""
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

    def __len__(self) -> int:
        return len(self._held)

    @property
    def silent_for(self) -> float:
        """Seconds since Postgres last answered a heartbeat."""
        return time.monotonic() - self._last_beat

    def _within(self, seconds: float) -> float:
        """Less than that, so as not to outlast a lease that must be given up."""
        patience = min((self._patience(lease) for lease in self._held.values()), default=seconds)
        return min(seconds, max(patience, LEAST_SHARE * self._interval))

    def _patience(self, lease: Lease) -> float:
        """Seconds until it must be given up. A claim that came through since the last heartbeat counts as one."""
        return lease.confirmed_at + self._lease.total_seconds() * GIVE_UP_SHARE - time.monotonic()

    @contextmanager
    def hold(self, job_id: UUID, fence: int, *, confirmed_at: float) -> Iterator[Lease]:
        """An attempt's lease for as long as a `with` lasts. One that this process still runs has lost the job.

        `confirmed_at`: on the monotonic clock, before the claim was sent.
        """
        lease = Lease(job_id=job_id, fence=fence, confirmed_at=confirmed_at)
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
            await asyncio.sleep(self._within(self._interval))

    async def beat(self) -> None:
        """One heartbeat. When Postgres stays away for too long, attempts stop before their leases can lapse."""
        asked_at = time.monotonic()
        held = list(self._held.values())
        answer = self._within(max(self._interval, ANSWER_SHARE * self._lease.total_seconds()))
        try:
            async with asyncio.timeout(answer), self._database.transaction() as transaction:
                mine = [(lease.job_id, lease.fence) for lease in held]
                owned = await jobs.heartbeat(transaction.driver, mine, self._lease)
        except Exception as error:  # a cancelled query, a failover, a full disk: a beat that failed, and no more
            log.warning("heartbeat failed", error=repr(error), silent_for=round(self.silent_for, 1), jobs=len(held))
            for lease in list(self._held.values()):
                if self._patience(lease) <= 0:
                    lease.end(Stop.LOST)
            return
        self._last_beat = time.monotonic()
        for lease in held:
            row = owned.get(lease.job_id)
            if row is not None:
                lease.confirmed_at = asked_at
            if self._held.get(lease.job_id) is lease and (stop := _asked(row)):
                lease.end(stop)


def _asked(row: asyncpg.Record | None) -> Stop | None:
    """What a renewed lease tells: its job is another's, or a user asked for something."""
    if row is None:
        return Stop.LOST
    if row["cancel_requested"]:
        return Stop.CANCEL
    return Stop.PAUSE if row["pause_requested"] else None
