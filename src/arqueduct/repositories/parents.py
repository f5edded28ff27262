"""Jobs with children: their counters at any moment, and what is wanted of all their children.

Whoever changes a child notes by how much the counters changed (a trigger of sql/versions/0007); `folding` adds that to
the parent. A parent's row in `parents` is locked before its row in `jobs`, and no child's row while either is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from arqueduct import eta, families
from arqueduct.database import Driver
from arqueduct.eta import Estimate
from arqueduct.families import Asked, Counts, OnError, Policy, Standing

__all__ = [
    "Tally",
    "asked",
    "call_off_pause",
    "children_among",
    "errors",
    "forget_resumed",
    "hold",
    "is_asked",
    "message_of",
    "now",
    "set_asked",
    "standing_of",
]

_CHILD = "EXISTS (SELECT FROM jobs c WHERE c.parent_id = p.job_id AND {})"
_WAITS = _CHILD.format("c.state = 'queued'")
_IS_PAUSED = _CHILD.format("c.state = 'paused'")
_RUNS_ON = _CHILD.format("c.state = 'running' AND NOT c.cancel_requested")
_RUNS_ON_UNPAUSED = _CHILD.format("c.state = 'running' AND NOT c.pause_requested AND NOT c.cancel_requested")
_ASKED = f"""
    SELECT p.job_id, p.tenant_id, p.asked FROM parents p WHERE p.asked IS NOT NULL AND CASE p.asked
        WHEN 'pause' THEN {_WAITS} OR {_RUNS_ON_UNPAUSED}
        WHEN 'resume' THEN {_IS_PAUSED}
        ELSE {_WAITS} OR {_IS_PAUSED} OR {_RUNS_ON} END
    ORDER BY p.job_id
"""
_RESUMED = f"UPDATE parents p SET asked = NULL WHERE p.asked = 'resume' AND NOT {_IS_PAUSED}"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """All that is counted of the children of one parent, at one moment."""

    counts: Counts
    weight: int
    work: int
    """Of `weight` times 10,000."""
    size: int
    size_done: int
    pages: int
    chunks: int
    tokens: int
    embedding_requests: int
    cache_hits: int

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Tally":
        names = ("queued", "running", "paused", "completed", "failed", "cancelled")
        return cls(
            counts=Counts(**{name: int(row[name]) for name in names}),
            weight=int(row["weight"]),
            work=int(row["work"]),
            size=int(row["size"]),
            size_done=int(row["size_done"]),
            pages=int(row["pages"]),
            chunks=int(row["chunks"]),
            tokens=int(row["tokens"]),
            embedding_requests=int(row["embedding_requests"]),
            cache_hits=int(row["cache_hits"]),
        )

    @property
    def progress(self) -> float:
        return families.progress(self.work, self.weight)

    def left(self, fast: float | None, slow: float | None, watched: float) -> Estimate | None:
        """Until all have ended, at the pace of late (milliseconds of expected work a second) and that of longer, seen
        for `watched` seconds. None: there is no basis, or nothing may go on."""
        if fast is None or slow is None or not self.counts.queued + self.counts.running:
            return None
        return eta.of_backlog(self.weight - self.work / families.WORK_UNITS, fast=fast, slow=slow, basis=watched)


async def hold(driver: Driver, parent_id: UUID) -> asyncpg.Record | None:
    """Locks a parent, so that nobody folds it until the transaction ends; its row in `jobs` may be locked after it."""
    return await driver.fetchrow("SELECT * FROM parents WHERE job_id = $1 FOR NO KEY UPDATE", parent_id)


async def set_asked(driver: Driver, parent_id: UUID, wanted: Asked | None) -> None:
    """What is to be done to all children, now and later."""
    await driver.execute("UPDATE parents SET asked = $2 WHERE job_id = $1", parent_id, wanted)


async def is_asked(driver: Driver, parent_id: UUID, wanted: Asked) -> bool:
    """Whether that is what is wanted, still; it stays so until the transaction ends. Children are locked before."""
    found: str | None = await driver.fetchval("SELECT asked FROM parents WHERE job_id = $1 FOR SHARE", parent_id)
    return found == wanted


async def children_among(driver: Driver, parent_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these jobs that are children of it."""
    rows = await driver.fetch("SELECT id FROM jobs WHERE id = ANY ($1::uuid[]) AND parent_id = $2", ids, parent_id)
    return {row["id"] for row in rows}


async def asked(driver: Driver) -> list[asyncpg.Record]:
    """Parents of which a child is there that something wanted is still to be done to: `job_id, tenant_id, asked`."""
    return await driver.fetch(_ASKED)


async def call_off_pause(driver: Driver, parent_id: UUID) -> None:
    """Running children that were asked to pause, and have not yet, go on."""
    await driver.execute(
        "UPDATE jobs SET pause_requested = false WHERE id IN (SELECT id FROM jobs WHERE parent_id = $1 "
        "AND state = 'running' AND pause_requested ORDER BY id FOR NO KEY UPDATE)",
        parent_id,
    )


async def forget_resumed(driver: Driver) -> None:
    """What is wanted is done where nothing is paused any more: whoever pauses a child later means it."""
    await driver.execute(_RESUMED)


async def now(driver: Driver, parent_id: UUID) -> asyncpg.Record | None:
    """The counters as they are at this moment (`at`), folded or not; see `Tally.of`."""
    return await driver.fetchrow("SELECT *, clock_timestamp() AS at FROM parents_now WHERE job_id = $1", parent_id)


async def errors(driver: Driver, parent_id: UUID) -> dict[str, int]:
    """Failed children by the code of their error, at this moment."""
    rows = await driver.fetch(
        """
        SELECT code, sum(jobs)::int AS jobs FROM (
            SELECT code, jobs FROM child_errors WHERE parent_id = $1
            UNION ALL SELECT code_in, 1 FROM child_deltas WHERE parent_id = $1 AND code_in IS NOT NULL
            UNION ALL SELECT code_out, -1 FROM child_deltas WHERE parent_id = $1 AND code_out IS NOT NULL
        ) c GROUP BY code HAVING sum(jobs) > 0 ORDER BY sum(jobs) DESC, code
        """,
        parent_id,
    )
    return {row["code"]: row["jobs"] for row in rows}


def standing_of(row: asyncpg.Record, counts: Counts, wanted: str | None, forgiven: int) -> Standing:
    """What a parent is by its counters, under the policy in its row."""
    return families.standing(
        counts,
        Policy(on_error=OnError(row["on_error"]), threshold=row["threshold"]),
        is_cancelled=wanted == Asked.CANCEL,
        is_stopping=wanted == Asked.STOP,
        forgiven=forgiven,
    )


def message_of(counts: Counts) -> str:
    """In words, as live messages have it."""
    words = f"{counts.finished} of {counts.total} done"
    return f"{words}, {counts.failed} failed" if counts.failed else words
