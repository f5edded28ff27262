"""The life of an attempt: every transition is one statement that names the fence, so a losing attempt hits no row.

The steps are those of docs/job-lifecycle.md. What users ask of jobs is in `steering`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct import __version__, events, storable
from arqueduct.database import Driver
from arqueduct.errors import LeaseLost
from arqueduct.events import JobMessage
from arqueduct.lifecycle import JobState, Outcome
from arqueduct.repositories.statements import moving, noting

__all__ = [
    "Claimed",
    "End",
    "Step",
    "add_usage",
    "advance",
    "cancel_running",
    "claim",
    "complete_all",
    "eta_range",
    "fail",
    "heartbeat",
    "hold",
    "message_of",
    "note_created",
    "pause_running",
    "release",
    "retry_later",
]


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """What an attempt needs to know of its job."""

    id: UUID
    tenant_id: UUID
    user_id: UUID
    kind: str
    document_id: UUID | None
    document_name: str | None
    payload: dict[str, Any]
    fence: int
    dispatch: int
    failures: int
    max_failures: int
    progress: float
    seq: int
    waited: float
    """Seconds from due to claimed."""
    asked_at: float
    """On the monotonic clock, before the claim was sent: the lease lasts from then on at least."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One state of a running job to be written and told."""

    job_id: UUID
    fence: int
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    eta_seconds: int | None
    is_new_stage: bool
    eta_range: list[int] | None = None


@dataclass(frozen=True, kw_only=True)
class End:
    """An attempt that completed its job, what that has cost, and what it made."""

    job_id: UUID
    fence: int
    message: str | None = None
    tokens: int = 0
    embedding_requests: int = 0
    cache_hits: int = 0
    pages: int | None = None
    chunks: int | None = None


# The wake-ups are locked in the order of their ids, as everybody does who locks several jobs.
_CLAIM = """
    WITH woken AS (
        SELECT j.id FROM jobs j JOIN unnest($1::uuid[], $2::int[]) AS w(id, dispatch) USING (id, dispatch)
        WHERE j.state = 'queued' ORDER BY j.id FOR NO KEY UPDATE OF j
    ), claimed AS (
        UPDATE jobs j SET state = 'running', fence = fence + 1, seq = seq + 1, lease_owner = $3,
            lease_until = clock_timestamp() + $4, started_at = coalesce(started_at, now()), updated_at = now(),
            turn = NULL, error = NULL, message = NULL, eta_seconds = NULL
        FROM woken w WHERE j.id = w.id
        RETURNING j.id, j.tenant_id, j.user_id, kind, document_id, document_name, payload, fence, dispatch, failures,
            max_failures, progress, seq, greatest(extract(epoch FROM now() - run_after), 0)::float8 AS waited
    ), begun AS (
        INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version)
        SELECT id, fence, tenant_id, $3, $5 FROM claimed
    )
    SELECT * FROM claimed
"""

_HEARTBEAT = """
    UPDATE jobs SET lease_until = now() + $3 WHERE id IN (
        SELECT j.id FROM jobs j JOIN unnest($1::uuid[], $2::int[]) AS mine(id, fence) USING (id, fence)
        WHERE j.state = 'running' FOR NO KEY UPDATE OF j SKIP LOCKED
    )
"""

_OWNED = """
    SELECT j.id, j.cancel_requested, j.pause_requested
    FROM jobs j JOIN unnest($1::uuid[], $2::int[]) AS mine(id, fence) USING (id, fence) WHERE j.state = 'running'
"""

_ADVANCE = """
    WITH input AS (
        SELECT * FROM unnest(
            $1::uuid[], $2::int[], $3::int[], $4::text[], $5::real[], $6::text[], $7::text[], $8::int[], $16::int[],
            $17::int[]
        ) AS t(id, fence, steps, stage, progress, message, details, eta_seconds, eta_low, eta_high)
    ), held AS MATERIALIZED (
        SELECT j.id FROM jobs j JOIN input i ON j.id = i.id AND j.fence = i.fence
        WHERE j.state = 'running' ORDER BY j.id FOR NO KEY UPDATE OF j
    ), moved AS (
        UPDATE jobs j SET seq = j.seq + i.steps, stage = i.stage, progress = greatest(j.progress, i.progress),
            message = i.message, details = i.details::jsonb, eta_seconds = i.eta_seconds,
            eta_range = CASE WHEN i.eta_low IS NOT NULL THEN ARRAY[i.eta_low, i.eta_high] END, updated_at = now()
        FROM input i JOIN held USING (id) WHERE j.id = i.id AND j.fence = i.fence AND j.state = 'running'
        RETURNING j.id, j.tenant_id, j.user_id, j.kind, j.parent_id, j.document_id, j.document_name, j.progress,
            j.fence, j.seq, i.steps, j.updated_at
    ), noted AS (
        INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, message, details, attempt)
        SELECT m.id, m.seq - m.steps + e.step, m.tenant_id, 'job_progress', 'running', e.stage,
            least(e.progress, m.progress), e.message, e.details::jsonb, m.fence
        FROM moved m JOIN unnest($9::uuid[], $10::int[], $11::int[], $12::text[], $13::real[], $14::text[], $15::text[])
            AS e(id, fence, step, stage, progress, message, details) ON e.id = m.id AND e.fence = m.fence
    )
    SELECT id, tenant_id, user_id, kind, parent_id, document_id, document_name, progress, fence, seq, updated_at
    FROM moved
"""

# A transaction may have begun before the last progress was written, so its now() would tell the end too early.
_COMPLETE_ALL = moving(
    "job_completed",
    """
    UPDATE jobs j SET state = 'completed', stage = 'completed', progress = 1, seq = seq + 1, message = e.message,
        details = '{}', eta_seconds = 0, error = NULL, lease_owner = NULL, lease_until = NULL,
        finished_at = clock_timestamp(), updated_at = clock_timestamp(), pause_requested = false,
        tokens = j.tokens + e.tokens, embedding_requests = j.embedding_requests + e.requests,
        cache_hits = j.cache_hits + e.hits, pages = coalesce(e.pages, j.pages), chunks = coalesce(e.chunks, j.chunks)
    FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::int[], $8::int[])
        AS e(job_id, attempt, message, tokens, requests, hits, pages, chunks)
    WHERE j.id = e.job_id AND j.fence = e.attempt AND j.id IN (
        SELECT own.id FROM jobs own JOIN unnest($1::uuid[], $2::int[]) AS mine(id, fence) USING (id, fence)
        WHERE own.state = 'running' AND NOT own.cancel_requested ORDER BY own.id FOR NO KEY UPDATE OF own
    )
    """,
    outcome=Outcome.COMPLETED,
    returning="j.*",
)

_FAIL = moving(
    "job_failed",
    """
    UPDATE jobs SET state = 'failed', stage = 'failed', seq = seq + 1, failures = failures + 1, error = $3,
        message = $3::jsonb ->> 'message', eta_seconds = NULL, lease_owner = NULL, lease_until = NULL,
        finished_at = now(), updated_at = now(), cancel_requested = false, pause_requested = false
    WHERE id = $1 AND fence = $2 AND state = 'running'
    """,
    outcome=Outcome.FAILED,
    traceback="$4",
)

_BACK_TO_QUEUE = """
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        run_after = now() + $3, failures = failures + {failures}, error = {error}, message = $4, eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE id = $1 AND fence = $2 AND state = 'running' AND NOT cancel_requested AND NOT pause_requested
"""
_RETRY_LATER = moving(
    "job_queued", _BACK_TO_QUEUE.format(failures=1, error="$5"), outcome=Outcome.RETRIED, traceback="$6"
)
_RELEASE = {
    outcome: moving("job_queued", _BACK_TO_QUEUE.format(failures=0, error="NULL"), outcome=outcome)
    for outcome in (Outcome.HANDED_BACK, Outcome.SNOOZED)
}

_PAUSE_RUNNING = moving(
    "job_progress",
    """
    UPDATE jobs SET state = 'paused', stage = 'paused', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        message = NULL, eta_seconds = NULL, lease_owner = NULL, lease_until = NULL, updated_at = now(),
        pause_requested = false
    WHERE id = $1 AND fence = $2 AND state = 'running' AND pause_requested AND NOT cancel_requested
    """,
    outcome=Outcome.PAUSED,
)

_CANCEL_RUNNING = moving(
    "job_cancelled",
    """
    UPDATE jobs SET state = 'cancelled', stage = 'cancelled', seq = seq + 1, message = NULL, eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, finished_at = now(), updated_at = now(), cancel_requested = false,
        pause_requested = false
    WHERE id = $1 AND fence = $2 AND state = 'running' AND cancel_requested
    """,
    outcome=Outcome.CANCELLED,
)

_HOLD = "SELECT id FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running' FOR NO KEY UPDATE"

_USE = """
    UPDATE jobs SET tokens = tokens + $3, embedding_requests = embedding_requests + $4, cache_hits = cache_hits + $5,
        pages = $6, chunks = $7
    WHERE id = $1 AND fence = $2 AND state = 'running'
"""

_CREATED = noting("job_queued", "SELECT * FROM jobs WHERE id = ANY($1::uuid[])")


async def note_created(driver: Driver, ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Puts jobs inserted in this transaction into the line; returns their state for messages."""
    await driver.execute("SELECT line_up($1)", ids)
    return await driver.fetch(_CREATED, ids)


async def claim(
    driver: Driver, wake_ups: Sequence[tuple[UUID, int]], owner: str, lease: timedelta, *, version: str = __version__
) -> list[Claimed]:
    """Takes jobs for new attempts, by `(id, dispatch)`. One that does not come back has a newer wake-up, or none."""
    asked_at = time.monotonic()
    rows = await driver.fetch(
        _CLAIM, [job_id for job_id, _ in wake_ups], [dispatch for _, dispatch in wake_ups], owner, lease, version
    )
    return [Claimed(**row, asked_at=asked_at) for row in rows]


async def heartbeat(driver: Driver, mine: Sequence[tuple[UUID, int]], lease: timedelta) -> dict[UUID, asyncpg.Record]:
    """Renews leases of `(id, fence)` pairs; returns those still owned, with what was asked of them.

    A row that one of our own transactions holds at this moment is skipped (waiting could deadlock with it): that
    transaction's lock keeps everyone else away meanwhile.
    """
    ids, fences = [job_id for job_id, _ in mine], [fence for _, fence in mine]
    await driver.execute(_HEARTBEAT, ids, fences, lease)
    return {row["id"]: row for row in await driver.fetch(_OWNED, ids, fences)}


async def advance(driver: Driver, steps: Sequence[Step]) -> list[JobMessage | None]:
    """Writes states of many running jobs in one statement.

    Of a job's steps the last goes into the row and each new stage into the history. Returns the message of every
    step in order; `None` where the attempt no longer owns its job.
    """
    last = {(step.job_id, step.fence): step for step in steps}
    position = dict.fromkeys(last, 0)
    numbered: list[tuple[Step, int]] = []
    for step in steps:
        position[step.job_id, step.fence] += 1
        numbered.append((step, position[step.job_id, step.fence]))
    stages = [(step, number) for step, number in numbered if step.is_new_stage]
    rows = await driver.fetch(
        _ADVANCE,
        [job_id for job_id, _ in last],
        [fence for _, fence in last],
        [position[attempt] for attempt in last],
        [step.stage for step in last.values()],
        [step.progress for step in last.values()],
        [step.message for step in last.values()],
        [storable.json(step.details) for step in last.values()],
        [step.eta_seconds for step in last.values()],
        [step.job_id for step, _ in stages],
        [step.fence for step, _ in stages],
        [number for _, number in stages],
        [step.stage for step, _ in stages],
        [step.progress for step, _ in stages],
        [step.message for step, _ in stages],
        [storable.json(step.details) for step, _ in stages],
        [step.eta_range and step.eta_range[0] for step in last.values()],
        [step.eta_range and step.eta_range[1] for step in last.values()],
    )
    owned = {(row["id"], row["fence"]): row for row in rows}
    return [
        _step_message(row, step, row["seq"] - position[step.job_id, step.fence] + number)
        if (row := owned.get((step.job_id, step.fence)))
        else None
        for step, number in numbered
    ]


async def add_usage(
    driver: Driver,
    job_id: UUID,
    fence: int,
    *,
    tokens: int,
    embedding_requests: int,
    cache_hits: int,
    pages: int = 0,
    chunks: int = 0,
) -> None:
    """What an attempt has cost that does not complete; in the transaction of its end, before that."""
    await driver.execute(_USE, job_id, fence, tokens, embedding_requests, cache_hits, pages, chunks)


async def hold(driver: Driver, job_id: UUID, fence: int) -> None:
    """Nobody takes the job from this attempt until the transaction ends, which is to be soon: heartbeats skip it.

    For what a job writes before its end. Documents and blobs are locked before jobs, so call it after what it fences.
    Raises `LeaseLost`.
    """
    if await driver.fetchval(_HOLD, job_id, fence) is None:
        raise LeaseLost


async def complete_all(driver: Driver, ends: Sequence[End]) -> list[asyncpg.Record]:
    """The ends of many jobs in one statement, with their cost; one that does not come back is lost."""
    return await driver.fetch(
        _COMPLETE_ALL,
        [end.job_id for end in ends],
        [end.fence for end in ends],
        [end.message for end in ends],
        [end.tokens for end in ends],
        [end.embedding_requests for end in ends],
        [end.cache_hits for end in ends],
        [end.pages for end in ends],
        [end.chunks for end in ends],
    )


async def fail(
    driver: Driver, job_id: UUID, fence: int, error: dict[str, Any], *, traceback: str | None = None
) -> asyncpg.Record | None:
    """Ends the job with an error for its user, and a traceback for operators."""
    return await driver.fetchrow(_FAIL, job_id, fence, storable.json(error), traceback)


async def retry_later(
    driver: Driver,
    job_id: UUID,
    fence: int,
    error: dict[str, Any],
    *,
    delay: timedelta,
    message: str | None = None,
    traceback: str | None = None,
) -> asyncpg.Record | None:
    """Puts a running job back into the queue and counts a failure. None: a cancel or a pause was asked for, or the
    lease is lost."""
    return await driver.fetchrow(_RETRY_LATER, job_id, fence, delay, message, storable.json(error), traceback)


async def release(
    driver: Driver, job_id: UUID, fence: int, outcome: Outcome, *, message: str | None = None
) -> asyncpg.Record | None:
    """Puts a running job back into the queue, handed back or snoozed: no failure. None: as for `retry_later`."""
    return await driver.fetchrow(_RELEASE[outcome], job_id, fence, timedelta(0), message)


async def pause_running(driver: Driver, job_id: UUID, fence: int) -> asyncpg.Record | None:
    """The attempt itself confirms that it stopped, as was asked. None: nobody asked, or it owns the job no more."""
    return await driver.fetchrow(_PAUSE_RUNNING, job_id, fence)


async def cancel_running(driver: Driver, job_id: UUID, fence: int) -> asyncpg.Record | None:
    """As `pause_running`, for a cancel."""
    return await driver.fetchrow(_CANCEL_RUNNING, job_id, fence)


def message_of(row: asyncpg.Record) -> JobMessage:
    """The live message for a job row as it stands."""
    state = JobState(row["state"])
    return JobMessage(
        id=f"{row['id']}:{row['seq']}",
        type=events.type_of(state, is_parent=row["children"] is not None),
        tenant_id=row["tenant_id"],
        job_id=row["id"],
        kind=row["kind"],
        parent_id=row["parent_id"],
        document_id=row["document_id"],
        document_name=row["document_name"],
        state=state,
        stage=row["stage"],
        progress=round(row["progress"], 4),
        message=row["message"],
        details=row["details"],
        eta_seconds=row["eta_seconds"],
        eta_range=eta_range(state, row["eta_seconds"], row["eta_range"]),
        error=row["error"],
        attempt=row["fence"],
        seq=row["seq"],
        timestamp=row["updated_at"],
    )


def eta_range(state: JobState, seconds: int | None, stored: list[int] | None) -> list[int] | None:
    """The stored range belongs to the seconds of a job that runs; what ends an attempt forgets only those."""
    return stored if state is JobState.RUNNING and seconds is not None else None


def _step_message(row: asyncpg.Record, step: Step, seq: int) -> JobMessage:
    return JobMessage(
        id=f"{step.job_id}:{seq}",
        type="job_progress",
        tenant_id=row["tenant_id"],
        job_id=step.job_id,
        kind=row["kind"],
        parent_id=row["parent_id"],
        document_id=row["document_id"],
        document_name=row["document_name"],
        state=JobState.RUNNING,
        stage=step.stage,
        progress=round(min(step.progress, row["progress"]), 4),
        message=step.message,
        details=step.details,
        eta_seconds=step.eta_seconds,
        eta_range=step.eta_range,
        error=None,
        attempt=step.fence,
        seq=seq,
        timestamp=row["updated_at"],
    )
