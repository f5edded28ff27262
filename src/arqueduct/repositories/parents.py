"""Jobs with children. Whoever changes a child notes by how much the counters changed (a trigger of sql/versions/0007);
here that is folded into the parent, which then follows from its counters.

A parent's row in `parents` is locked before its row in `jobs`, and no child's row while either is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct import eta, families, storable
from arqueduct.database import Driver
from arqueduct.eta import Estimate
from arqueduct.families import Asked, Counts, OnError, Policy, Standing
from arqueduct.lifecycle import FINAL, JobState
from arqueduct.repositories.statements import COLUMNS, moving

__all__ = [
    "Folded",
    "Tally",
    "asked",
    "due",
    "errors",
    "fold",
    "hold",
    "message_of",
    "now",
    "set_asked",
    "since",
]

MOST_CURRENT = 5
"""Running children that a message names: what fits on a line of a page."""
FAST, SLOW = 10.0, 60.0
"""Seconds after which what was done counts half in the two rates: the one follows, the other is steady."""

_SUMS = (
    *("total", "queued", "running", "paused", "completed", "failed", "cancelled", "weight", "work", "size"),
    *("size_done", "pages", "chunks", "tokens", "embedding_requests", "cache_hits"),
)

# Nobody folds a parent twice within the interval, however many look: so many messages it costs at most.
_LOCK = """
    SELECT job_id FROM parents WHERE job_id = ANY ($1) AND folded_at <= clock_timestamp() - $2::interval
    ORDER BY job_id FOR NO KEY UPDATE {more}
"""

# What is committed when this statement begins, and nobody else takes it: the parent is locked.
_FOLD = f"""
    WITH gone AS (
        DELETE FROM child_deltas WHERE parent_id = ANY ($1) RETURNING *
    ), sums AS (
        SELECT parent_id, {", ".join(f"sum({name}) AS {name}" for name in _SUMS)} FROM gone GROUP BY parent_id
    ), codes AS (
        SELECT parent_id, tenant_id, code, sum(jobs)::int AS jobs FROM (
            SELECT parent_id, tenant_id, code_in AS code, 1 AS jobs FROM gone WHERE code_in IS NOT NULL
            UNION ALL
            SELECT parent_id, tenant_id, code_out, -1 FROM gone WHERE code_out IS NOT NULL
        ) c GROUP BY parent_id, tenant_id, code HAVING sum(jobs) <> 0
    ), counted AS (
        INSERT INTO child_errors AS e (parent_id, code, tenant_id, jobs)
        SELECT parent_id, code, tenant_id, jobs FROM codes ORDER BY parent_id, code
        ON CONFLICT (parent_id, code) DO UPDATE SET jobs = e.jobs + excluded.jobs
    )
    UPDATE parents p SET folded_at = clock_timestamp(), {", ".join(f"{n} = p.{n} + coalesce(s.{n}, 0)" for n in _SUMS)}
    FROM unnest($1::uuid[]) AS mine(id) LEFT JOIN sums s ON s.parent_id = mine.id WHERE p.job_id = mine.id
    RETURNING p.*, clock_timestamp() AS at, s.parent_id IS NOT NULL AS has_changed
"""

_STATES = """
    SELECT j.id, j.state, j.started_at, ARRAY(
        SELECT jsonb_build_object('document_id', c.document_id, 'document_name', c.document_name, 'stage', c.stage,
            'progress', round(c.progress::numeric, 4))
        FROM jobs c WHERE c.parent_id = j.id AND c.state = 'running' ORDER BY c.id LIMIT $2
    ) AS current
    FROM jobs j WHERE j.id = ANY ($1) ORDER BY j.id FOR NO KEY UPDATE OF j
"""

_RATE = "UPDATE parents SET fast_rate = $2, slow_rate = $3, rated_at = $4, rated_work = $5, asked = $6, forgiven = $7 "
_RATE += "WHERE job_id = $1"

_MOVE = """
    UPDATE jobs SET state = $2, stage = $3, progress = $4, message = $5, details = $6, eta_seconds = $7,
        eta_range = $10, error = CASE WHEN $9 AND state = $2 THEN error ELSE $8 END,
        seq = seq + 1, updated_at = clock_timestamp(),
        started_at = CASE WHEN $2 = 'queued' THEN started_at ELSE coalesce(started_at, clock_timestamp()) END,
        finished_at = CASE WHEN $9 THEN coalesce(finished_at, clock_timestamp()) END
    WHERE id = $1
"""
_PROGRESS = f"{_MOVE} RETURNING {COLUMNS}"
_ENTER = {
    state: moving(event, _MOVE)
    for state, event in (
        (JobState.QUEUED, "job_queued"),
        (JobState.RUNNING, "batch_progress"),
        (JobState.PAUSED, "batch_progress"),
        (JobState.COMPLETED, "job_completed"),
        (JobState.PARTIALLY_COMPLETED, "job_completed"),
        (JobState.FAILED, "job_failed"),
        (JobState.CANCELLED, "job_cancelled"),
    )
}

STAGES = {JobState.RUNNING: "processing"}
"""What clients see of a parent where it is not the name of its state."""


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


@dataclass(frozen=True, kw_only=True)
class Folded:
    """What became of one look at parents."""

    rows: list[asyncpg.Record]
    """New states, for messages."""
    folded: int


async def due(driver: Driver, *, most: int) -> list[UUID]:
    """Parents of which something was noted; asked once a parent, not once a note."""
    rows = await driver.fetch(
        """
        WITH RECURSIVE noted AS (
            (SELECT parent_id FROM child_deltas ORDER BY parent_id LIMIT 1)
            UNION ALL
            SELECT (SELECT d.parent_id FROM child_deltas d WHERE d.parent_id > n.parent_id ORDER BY d.parent_id LIMIT 1)
            FROM noted n WHERE n.parent_id IS NOT NULL
        )
        SELECT parent_id FROM noted WHERE parent_id IS NOT NULL LIMIT $1
        """,
        most,
    )
    return [row["parent_id"] for row in rows]


async def fold(
    driver: Driver, ids: Sequence[UUID], *, interval: timedelta = timedelta(0), waits: bool = True
) -> Folded:
    """Brings the parents up to date with their children, and returns those that changed.

    Without `waits` those are left that somebody else folds right now; with an `interval` those that were folded
    within it.
    """
    lock = _LOCK.format(more="" if waits else "SKIP LOCKED")
    held = [row["job_id"] for row in await driver.fetch(lock, ids, interval)]
    if not held:
        return Folded(rows=[], folded=0)
    tallied = await driver.fetch(_FOLD, held)
    states = {row["id"]: row for row in await driver.fetch(_STATES, held, MOST_CURRENT)}
    rows = [moved for row in tallied if (moved := await _settle(driver, row, states[row["job_id"]]))]
    return Folded(rows=rows, folded=len(held))


async def hold(driver: Driver, parent_id: UUID) -> asyncpg.Record | None:
    """Locks a parent, so that nobody folds it until the transaction ends; its row in `jobs` may be locked after it."""
    return await driver.fetchrow("SELECT * FROM parents WHERE job_id = $1 FOR NO KEY UPDATE", parent_id)


async def set_asked(driver: Driver, parent_id: UUID, wanted: Asked | None) -> None:
    """What is to be done to all children, now and later."""
    await driver.execute("UPDATE parents SET asked = $2 WHERE job_id = $1", parent_id, wanted)


async def asked(driver: Driver) -> list[asyncpg.Record]:
    """Parents of whose children something is wanted: `job_id, tenant_id, asked`."""
    return await driver.fetch("SELECT job_id, tenant_id, asked FROM parents WHERE asked IS NOT NULL ORDER BY job_id")


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


async def _settle(driver: Driver, row: asyncpg.Record, job: asyncpg.Record) -> asyncpg.Record | None:
    """Writes what follows from the counters; None where nothing does."""
    tally, before = Tally.of(row), JobState(job["state"])
    wanted, forgiven = row["asked"], row["forgiven"]
    if families.is_reopened(before, tally.counts):
        wanted, forgiven = None, tally.counts.failed
    elif before in FINAL and not row["has_changed"]:
        return None
    found = _standing(tally.counts, row, wanted, forgiven)
    if found.must_stop and wanted is None:
        wanted = Asked.STOP
    is_final = found.state in FINAL
    if before in FINAL and is_final:  # it has ended; only what its children cost may still be added up
        found = Standing(state=before)
    fast, slow = await _rate(driver, row, None if is_final else wanted, forgiven)
    if found.state is before and not row["has_changed"]:
        return None
    left = None if is_final else tally.left(fast, slow, since(job["started_at"], row["at"]))
    statement = _PROGRESS if found.state is before else _ENTER[found.state]
    return await driver.fetchrow(
        statement,
        row["job_id"],
        found.state,
        STAGES.get(found.state, str(found.state)),
        tally.progress,
        message_of(tally.counts),
        storable.json(_details(tally, job["current"])),
        0 if is_final else left and left.seconds,
        storable.json(found.error) if found.error else None,
        is_final,
        left and left.range,
    )


def _standing(counts: Counts, row: asyncpg.Record, wanted: str | None, forgiven: int) -> Standing:
    return families.standing(
        counts,
        Policy(on_error=OnError(row["on_error"]), threshold=row["threshold"]),
        is_cancelled=wanted == Asked.CANCEL,
        is_stopping=wanted == Asked.STOP,
        forgiven=forgiven,
    )


async def _rate(
    driver: Driver, row: asyncpg.Record, wanted: str | None, forgiven: int
) -> tuple[float | None, float | None]:
    """What is done a second, of late and over longer."""
    at: datetime = row["at"]
    rated_at: datetime = row["rated_at"] or at
    seconds = (at - rated_at).total_seconds()
    done = (row["work"] - row["rated_work"]) / families.WORK_UNITS
    fast = families.rate(row["fast_rate"], done, seconds, FAST)
    slow = families.rate(row["slow_rate"], done, seconds, SLOW)
    await driver.execute(_RATE, row["job_id"], fast, slow, at, row["work"], wanted, forgiven)
    return fast, slow


def since(began: datetime | None, at: datetime) -> float:
    """Seconds; 0 for what has not begun."""
    return (at - began).total_seconds() if began else 0.0


def message_of(counts: Counts) -> str:
    """In words, as live messages have it."""
    words = f"{counts.finished} of {counts.total} done"
    return f"{words}, {counts.failed} failed" if counts.failed else words


def _details(tally: Tally, current: Sequence[Any]) -> dict[str, Any]:
    counts = tally.counts
    return {
        "done": counts.finished,
        "total": counts.total,
        "unit": "jobs",
        "queued": counts.queued,
        "running": counts.running,
        "paused": counts.paused,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "pages": tally.pages,
        "bytes": tally.size_done,
        "current": list(current),
    }
