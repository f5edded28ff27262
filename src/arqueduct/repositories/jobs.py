"""The job row: every transition is one statement that names the fence, so a losing attempt hits no row.

The steps are those of docs/job-lifecycle.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct import events, storable
from arqueduct.database import Driver
from arqueduct.events import JobMessage
from arqueduct.lifecycle import JobState
from arqueduct.queue import WakeUp

__all__ = [
    "COLUMNS",
    "Claimed",
    "Step",
    "advance",
    "cancel",
    "cancel_of_document",
    "cancel_running",
    "claim",
    "complete",
    "fail",
    "heartbeat",
    "mark_dispatched",
    "message_of",
    "moving",
    "note_created",
    "release",
    "retry",
    "wake_up_of",
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
    failures: int
    max_failures: int
    progress: float
    seq: int
    waited: float
    """Seconds from due to claimed."""


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


COLUMNS = """
    id, tenant_id, user_id, kind, document_id, document_name, state, stage, progress, message, details, eta_seconds,
    error, fence, seq, updated_at, dispatch, run_after
"""
"""What `message_of` and `wake_up_of` read of a row."""

_NOTE = """
    INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, message, details, error, attempt)
    SELECT id, seq, tenant_id, '{event}', state, stage, progress, message, details, error, fence FROM moved
"""


def moving(event: str, update: str) -> str:
    """A statement that changes rows, notes the change in the history, and returns the new state."""
    noted = _NOTE.format(event=event)
    return f"WITH moved AS ({update} RETURNING *), noted AS ({noted}) SELECT {COLUMNS} FROM moved"


_CLAIM = """
    UPDATE jobs SET state = 'running', fence = fence + 1, seq = seq + 1, lease_owner = $3, lease_until = now() + $4,
        started_at = coalesce(started_at, now()), updated_at = now(), error = NULL, message = NULL, eta_seconds = NULL
    WHERE id = $1 AND dispatch = $2 AND NOT cancel_requested
        AND (state = 'queued' OR (state = 'running' AND lease_until < now()))
    RETURNING id, tenant_id, user_id, kind, document_id, document_name, payload, fence, failures, max_failures,
        progress, seq, greatest(extract(epoch FROM now() - run_after), 0)::float8 AS waited
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
            $1::uuid[], $2::int[], $3::int[], $4::text[], $5::real[], $6::text[], $7::text[], $8::int[]
        ) AS t(id, fence, steps, stage, progress, message, details, eta_seconds)
    ), moved AS (
        UPDATE jobs j SET seq = j.seq + i.steps, stage = i.stage, progress = greatest(j.progress, i.progress),
            message = i.message, details = i.details::jsonb, eta_seconds = i.eta_seconds, updated_at = now()
        FROM input i WHERE j.id = i.id AND j.fence = i.fence AND j.state = 'running'
        RETURNING j.id, j.tenant_id, j.user_id, j.kind, j.document_id, j.document_name, j.progress, j.fence, j.seq,
            i.steps, j.updated_at
    ), noted AS (
        INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, message, details, attempt)
        SELECT m.id, m.seq - m.steps + e.step, m.tenant_id, 'job_progress', 'running', e.stage,
            least(e.progress, m.progress), e.message, e.details::jsonb, m.fence
        FROM moved m JOIN unnest($9::uuid[], $10::int[], $11::int[], $12::text[], $13::real[], $14::text[], $15::text[])
            AS e(id, fence, step, stage, progress, message, details) ON e.id = m.id AND e.fence = m.fence
    )
    SELECT id, tenant_id, user_id, kind, document_id, document_name, progress, fence, seq, updated_at FROM moved
"""

# The transaction began before the last progress was written, so its now() would tell the end too early.
_COMPLETE = moving(
    "job_completed",
    """
    UPDATE jobs SET state = 'completed', stage = 'completed', progress = 1, seq = seq + 1, message = $3, details = $4,
        eta_seconds = 0, error = NULL, lease_owner = NULL, lease_until = NULL, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    WHERE id = $1 AND fence = $2 AND state = 'running' AND NOT cancel_requested
    """,
)

_FAIL = moving(
    "job_failed",
    """
    UPDATE jobs SET state = 'failed', stage = 'failed', seq = seq + 1, failures = failures + 1, error = $3,
        message = $3::jsonb ->> 'message', eta_seconds = NULL, lease_owner = NULL, lease_until = NULL,
        finished_at = now(), updated_at = now()
    WHERE id = $1 AND fence = $2 AND state = 'running'
    """,
)

_RELEASE = moving(
    "job_queued",
    """
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        run_after = now() + $3, failures = failures + $4, error = $5, message = $6, eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE id = $1 AND fence = $2 AND state = 'running' AND NOT cancel_requested
    """,
)

_CANCELLED = """
    UPDATE jobs SET state = 'cancelled', stage = 'cancelled', seq = seq + 1, fence = fence + {fence}, message = NULL,
        eta_seconds = NULL, lease_owner = NULL, lease_until = NULL, finished_at = now(), updated_at = now(),
        cancel_requested = false
    WHERE {where}
"""

_CANCEL = moving("job_cancelled", _CANCELLED.format(fence=0, where="id = $1 AND state IN ('queued', 'paused')"))
_CANCEL_FLAG = "UPDATE jobs SET cancel_requested = true WHERE id = $1 AND state = 'running' RETURNING id"
_CANCEL_RUNNING = moving(
    "job_cancelled",
    _CANCELLED.format(fence=0, where="id = $1 AND fence = $2 AND state = 'running' AND cancel_requested"),
)
# The document goes, so its jobs end now and not when a worker notices: the fence voids whatever it still writes.
_CANCEL_OF_DOCUMENT = moving(
    "job_cancelled",
    _CANCELLED.format(fence=1, where="document_id = $1 AND state IN ('queued', 'running', 'paused')"),
)

_RETRY = moving(
    "job_queued",
    """
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        run_after = now(), failures = 0, crashes = 0, error = NULL, message = NULL, progress = 0, details = '{}',
        finished_at = NULL, updated_at = now(), cancel_requested = false, pause_requested = false
    WHERE id = $1 AND state IN ('failed', 'cancelled', 'partially_completed')
    """,
)

_CREATED = moving("job_queued", "UPDATE jobs SET updated_at = now() WHERE id = ANY($1::uuid[])")


async def note_created(driver: Driver, ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Writes the first line of history of jobs inserted in this transaction; returns their state for messages."""
    return await driver.fetch(_CREATED, ids)


async def mark_dispatched(driver: Driver, wake_ups: Iterable[WakeUp]) -> None:
    """Notes that wake-ups were sent; one whose job moved on meanwhile is left alone."""
    sent = list(wake_ups)
    await driver.execute(
        "UPDATE jobs j SET dispatched_at = now() FROM unnest($1::uuid[], $2::int[]) AS sent(id, dispatch) "
        "WHERE j.id = sent.id AND j.dispatch = sent.dispatch AND j.state = 'queued'",
        [wake_up.job_id for wake_up in sent],
        [wake_up.dispatch for wake_up in sent],
    )


async def claim(driver: Driver, job_id: UUID, dispatch: int, owner: str, lease: timedelta) -> Claimed | None:
    """Takes the job for a new attempt. None: the wake-up is stale, or another attempt is alive."""
    row = await driver.fetchrow(_CLAIM, job_id, dispatch, owner, lease)
    if row is None:
        return None
    return Claimed(**row)


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
    )
    owned = {(row["id"], row["fence"]): row for row in rows}
    return [
        _step_message(row, step, row["seq"] - position[step.job_id, step.fence] + number)
        if (row := owned.get((step.job_id, step.fence)))
        else None
        for step, number in numbered
    ]


async def complete(
    driver: Driver, job_id: UUID, fence: int, *, message: str | None = None, details: dict[str, Any] | None = None
) -> asyncpg.Record | None:
    """The end of a job, in the transaction of its results. None: the lease is lost, roll back."""
    return await driver.fetchrow(_COMPLETE, job_id, fence, message, storable.json(details or {}))


async def fail(driver: Driver, job_id: UUID, fence: int, error: dict[str, Any]) -> asyncpg.Record | None:
    return await driver.fetchrow(_FAIL, job_id, fence, storable.json(error))


async def release(
    driver: Driver,
    job_id: UUID,
    fence: int,
    *,
    delay: timedelta = timedelta(0),
    error: dict[str, Any] | None = None,
    message: str | None = None,
) -> asyncpg.Record | None:
    """Puts a running job back into the queue; with an error it counts as a failure, without one it does not."""
    failed = None if error is None else storable.json(error)
    return await driver.fetchrow(_RELEASE, job_id, fence, delay, int(error is not None), failed, message)


async def cancel(driver: Driver, job_id: UUID) -> asyncpg.Record | None:
    """Ends a waiting job at once and returns its state. None: it runs and its worker is asked, or it has ended."""
    row = await driver.fetchrow(_CANCEL, job_id)
    if row is None:
        await driver.fetchrow(_CANCEL_FLAG, job_id)
    return row


async def cancel_running(driver: Driver, job_id: UUID, fence: int) -> asyncpg.Record | None:
    """The attempt itself confirms that it stopped, as was asked. None: nobody asked, or it owns the job no more."""
    return await driver.fetchrow(_CANCEL_RUNNING, job_id, fence)


async def cancel_of_document(driver: Driver, document_id: UUID) -> list[asyncpg.Record]:
    """Ends every unfinished job of a document at once, running or not."""
    return await driver.fetch(_CANCEL_OF_DOCUMENT, document_id)


async def retry(driver: Driver, job_id: UUID) -> asyncpg.Record | None:
    """Puts an ended job back into the queue, its failures forgotten. None: its state does not allow it."""
    return await driver.fetchrow(_RETRY, job_id)


def wake_up_of(row: asyncpg.Record) -> WakeUp:
    """The wake-up that a queued job needs now."""
    return WakeUp(row["id"], row["dispatch"], row["run_after"])


def message_of(row: asyncpg.Record) -> JobMessage:
    """The live message for a job row as it stands."""
    state = JobState(row["state"])
    return JobMessage(
        id=f"{row['id']}:{row['seq']}",
        type=events.type_of(state),
        tenant_id=row["tenant_id"],
        job_id=row["id"],
        kind=row["kind"],
        document_id=row["document_id"],
        document_name=row["document_name"],
        state=state,
        stage=row["stage"],
        progress=round(row["progress"], 4),
        message=row["message"],
        details=row["details"],
        eta_seconds=row["eta_seconds"],
        error=row["error"],
        attempt=row["fence"],
        seq=row["seq"],
        timestamp=row["updated_at"],
    )


def _step_message(row: asyncpg.Record, step: Step, seq: int) -> JobMessage:
    return JobMessage(
        id=f"{step.job_id}:{seq}",
        type="job_progress",
        tenant_id=row["tenant_id"],
        job_id=step.job_id,
        kind=row["kind"],
        document_id=row["document_id"],
        document_name=row["document_name"],
        state=JobState.RUNNING,
        stage=step.stage,
        progress=round(min(step.progress, row["progress"]), 4),
        message=step.message,
        details=step.details,
        eta_seconds=step.eta_seconds,
        error=None,
        attempt=step.fence,
        seq=seq,
        timestamp=row["updated_at"],
    )
