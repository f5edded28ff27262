"""Folding what was noted of children into their parents, which then follow from their counters.

A parent's row in `parents` is locked before its row in `jobs`, and no child's row while either is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct import families, storable
from arqueduct.database import Driver
from arqueduct.eta import Estimate
from arqueduct.families import Asked, Standing
from arqueduct.lifecycle import FINAL, JobState
from arqueduct.repositories.parents import Tally, message_of, standing_of
from arqueduct.repositories.statements import COLUMNS, moving

__all__ = ["Folded", "due", "fold"]

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
    RETURNING p.*, clock_timestamp() AS at, s.parent_id IS NOT NULL AS has_changed,
        coalesce(s.completed, 0) <> 0 OR coalesce(s.failed, 0) <> 0 OR coalesce(s.cancelled, 0) <> 0 AS has_moved
"""

_STATES = """
    SELECT j.id, j.state, ARRAY(
        SELECT jsonb_build_object('document_id', c.document_id, 'document_name', c.document_name, 'stage', c.stage,
            'progress', round(c.progress::numeric, 4))
        FROM jobs c WHERE c.parent_id = j.id AND c.state = 'running' ORDER BY c.id LIMIT $2
    ) AS current
    FROM jobs j WHERE j.id = ANY ($1) ORDER BY j.id FOR NO KEY UPDATE OF j
"""

_RATE = """
    UPDATE parents SET fast_rate = $2, slow_rate = $3, rated_at = $4, rated_work = $5, asked = $6, forgiven = $7,
        active_seconds = $8
    WHERE job_id = $1
"""

_MOVE = """
    UPDATE jobs SET state = $2, stage = $3, progress = $4, message = $5, details = $6, eta_seconds = $7,
        eta_range = $10, error = CASE WHEN $9 AND state = $2 AND $8::jsonb IS NULL THEN error ELSE $8::jsonb END,
        seq = seq + 1, updated_at = clock_timestamp(),
        started_at = CASE WHEN $2 = 'queued' THEN started_at ELSE coalesce(started_at, clock_timestamp()) END,
        finished_at = CASE WHEN $9 AND state = $2 THEN finished_at WHEN $9 THEN clock_timestamp() END
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
class Folded:
    """What became of one look at parents."""

    rows: list[asyncpg.Record]
    """New states, for messages."""
    folded: int


async def due(driver: Driver, *, interval: timedelta, most: int) -> list[UUID]:
    """Parents of which something was noted and that were not folded within the interval, the longest waiting first.

    The notes are asked once a parent, not once a note.
    """
    rows = await driver.fetch(
        """
        WITH RECURSIVE noted AS (
            (SELECT parent_id FROM child_deltas ORDER BY parent_id LIMIT 1)
            UNION ALL
            SELECT (SELECT d.parent_id FROM child_deltas d WHERE d.parent_id > n.parent_id ORDER BY d.parent_id LIMIT 1)
            FROM noted n WHERE n.parent_id IS NOT NULL
        )
        SELECT p.job_id FROM noted n JOIN parents p ON p.job_id = n.parent_id
        WHERE p.folded_at <= clock_timestamp() - $1::interval ORDER BY p.folded_at, p.job_id LIMIT $2
        """,
        interval,
        most,
    )
    return [row["job_id"] for row in rows]


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


async def _settle(driver: Driver, row: asyncpg.Record, job: asyncpg.Record) -> asyncpg.Record | None:
    """Writes what follows from the counters; None where nothing does."""
    tally, before = Tally.of(row), JobState(job["state"])
    wanted, forgiven = row["asked"], row["forgiven"]
    if before in FINAL and not (row["has_moved"] or tally.counts.unfinished):
        return await _add_up(driver, row, job, before) if row["has_changed"] else None
    if before in FINAL:  # somebody retried children, be it that they have ended again meanwhile
        wanted, forgiven = None, tally.counts.failed
        if not tally.counts.unfinished:
            await _write(driver, row, job, before, Standing(state=JobState.RUNNING), None)
            before = JobState.RUNNING
    found = standing_of(row, tally.counts, wanted, forgiven)
    if found.must_stop and wanted is None:
        wanted = Asked.STOP
    is_final = found.state in FINAL
    pace = _pace(row, was_running=job["state"] == JobState.RUNNING)
    await _keep(driver, row, pace, None if is_final else wanted, forgiven)
    if found.state is before and not row["has_changed"]:
        return None
    left = None if is_final else tally.left(pace.fast, pace.slow, pace.active)
    return await _write(driver, row, job, before, found, left)


async def _add_up(driver: Driver, row: asyncpg.Record, job: asyncpg.Record, ended: JobState) -> asyncpg.Record | None:
    """It has ended, and stays as it is; only what its children cost was told late."""
    return await _write(driver, row, job, ended, Standing(state=ended), None)


async def _write(
    driver: Driver, row: asyncpg.Record, job: asyncpg.Record, before: JobState, found: Standing, left: Estimate | None
) -> asyncpg.Record | None:
    """The new state of the parent, with a line of its history where that is another one."""
    tally, is_final = Tally.of(row), found.state in FINAL
    return await driver.fetchrow(
        _PROGRESS if found.state is before else _ENTER[found.state],
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


@dataclass(frozen=True, kw_only=True)
class _Pace:
    """How fast children are done, while any may be."""

    fast: float | None
    slow: float | None
    active: float
    """Seconds that the parent ran, pauses and the time between an end and a retry left out."""


def _pace(row: asyncpg.Record, *, was_running: bool) -> _Pace:
    """What did not run says nothing about pace."""
    known = _Pace(fast=row["fast_rate"], slow=row["slow_rate"], active=row["active_seconds"])
    if not was_running or row["rated_at"] is None:
        return known
    at: datetime = row["at"]
    seconds = (at - row["rated_at"]).total_seconds()
    done = (row["work"] - row["rated_work"]) / families.WORK_UNITS
    return _Pace(
        fast=families.rate(known.fast, done, seconds, FAST),
        slow=families.rate(known.slow, done, seconds, SLOW),
        active=known.active + seconds,
    )


async def _keep(driver: Driver, row: asyncpg.Record, pace: _Pace, wanted: str | None, forgiven: int) -> None:
    await driver.execute(
        _RATE, row["job_id"], pace.fast, pace.slow, row["at"], row["work"], wanted, forgiven, pace.active
    )


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
