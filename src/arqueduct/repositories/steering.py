"""What users ask of jobs: cancel, pause, resume, retry, one job or thousands.

What is asked of a parent is asked of its children (`parents`); here parents are left alone. A job that waits is
changed at once. One that runs is asked: its worker hears it over pub/sub, or by heartbeat. What a
state does not allow is left as it is; `lifecycle.check` says so beforehand where one job is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.lifecycle import Action, Outcome
from arqueduct.repositories.children import INGEST, PROJECT
from arqueduct.repositories.originals import MOVING
from arqueduct.repositories.statements import moving
from arqueduct.webhooks.kinds import NOT_OURS

__all__ = [
    "Changed",
    "Hindered",
    "JobFilter",
    "apply",
    "cancel_of_document",
    "cancel_of_documents",
    "hindered",
    "matching",
    "newer",
    "remaining",
]


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What became of the jobs."""

    rows: list[asyncpg.Record] = field(default_factory=list)
    """Their new states, where the change is done."""
    asked: list[UUID] = field(default_factory=list)
    """Those that run; their workers have to be told."""


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs are meant; what is None does not matter."""

    ids: Sequence[UUID] | None = None
    states: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    document_ids: Sequence[UUID] | None = None
    parent_id: UUID | None = None
    user_id: UUID | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    without: Sequence[str] = ()
    """Kinds that are not meant, whatever else is said: those that are withheld from who asks."""


@dataclass(frozen=True, kw_only=True)
class Hindered:
    """Jobs that cannot be tried again, by what became of their documents."""

    deleted: int
    archived: int
    newer: int
    """Processed by a newer job since."""


# What is archived is not processed; but a job that archives or restores it may be tried again.
_NOT_PUT_AWAY = f"(d.archived_at IS NULL OR jobs.kind IN {MOVING})"
# One job at a time gives a document its status: an older one would run beside it, or replace what it stored.
_IS_NEWEST = f"""
    (d.job_id = jobs.id OR jobs.kind <> '{INGEST}'
        AND NOT EXISTS (SELECT FROM jobs p WHERE p.id = jobs.parent_id AND p.kind = '{PROJECT}'))
"""
_CAN_BE_PROCESSED = f"""
    EXISTS (SELECT FROM documents d
        WHERE d.id = document_id AND d.deleted_at IS NULL AND {_NOT_PUT_AWAY} AND {_IS_NEWEST})
"""

_ENDED = """
    UPDATE jobs SET state = 'cancelled', stage = 'cancelled', seq = seq + 1, fence = fence + {fence}, message = NULL,
        eta_seconds = NULL, lease_owner = NULL, lease_until = NULL, finished_at = now(), updated_at = now(),
        cancel_requested = false, pause_requested = false
    WHERE {where}
"""
_CANCEL = moving(
    "job_cancelled", _ENDED.format(fence=0, where="id = ANY($1) AND state IN ('queued', 'paused') AND children IS NULL")
)
_ASK_TO_CANCEL = (
    "UPDATE jobs SET cancel_requested = true WHERE id = ANY($1) AND state = 'running' AND NOT cancel_requested "
    "AND children IS NULL RETURNING id"
)
# Locked before they are changed: a claim that commits while we wait for its row has begun an attempt that only a
# statement begun later sees, and ends.
_LOCK_OF_DOCUMENTS = (
    "SELECT id FROM jobs WHERE document_id = ANY ($1::uuid[]) AND state IN ('queued', 'running', 'paused') ORDER BY id "
    "FOR NO KEY UPDATE"
)
# The document goes, so its jobs end now and not when a worker notices: the fence voids whatever it still writes.
_CANCEL_OF_DOCUMENTS = moving(
    "job_cancelled",
    _ENDED.format(fence=1, where="document_id = ANY ($1::uuid[]) AND state IN ('queued', 'running', 'paused')"),
    outcome=Outcome.CANCELLED,
)

_PAUSE = moving(
    "job_progress",
    """
    UPDATE jobs SET state = 'paused', stage = 'paused', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        turn = NULL, updated_at = now()
    WHERE id = ANY($1) AND state = 'queued' AND children IS NULL
    """,
)
_ASK_TO_PAUSE = (
    "UPDATE jobs SET pause_requested = true WHERE id = ANY($1) AND state = 'running' AND NOT cancel_requested "
    "AND NOT pause_requested AND children IS NULL RETURNING id"
)

_AGAIN = """
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, dispatch = dispatch + 1, dispatched_at = NULL,
        turn = NULL, run_after = now(), message = NULL, updated_at = now(), cancel_requested = false,
        pause_requested = false {more}
    WHERE {where}
"""
_RESUME = moving("job_queued", _AGAIN.format(more="", where="id = ANY($1) AND state = 'paused' AND children IS NULL"))
_RETRY = moving(
    "job_queued",
    _AGAIN.format(
        more=", failures = 0, crashes = 0, error = NULL, progress = 0, details = '{}', finished_at = NULL",
        where=f"""
        id = ANY($1) AND state IN ('failed', 'cancelled') AND children IS NULL
            AND (document_id IS NULL OR document_id = ANY ($2) AND {_CAN_BE_PROCESSED})
        """,
    ),
)
# So that nobody begins to process, archives or deletes them meanwhile. Documents come before jobs, and here the jobs
# are locked already: what somebody holds is left out.
_HOLD_DOCUMENTS = """
    SELECT id FROM documents WHERE id IN (SELECT document_id FROM jobs WHERE id = ANY ($1)) ORDER BY id
    FOR SHARE SKIP LOCKED
"""

# Who resumes children means it: a pause of their parent would pause them again. The others stay paused by themselves.
_NO_LONGER_PAUSED = "UPDATE parents SET asked = NULL WHERE job_id = ANY ($1) AND asked = 'pause'"

_WAITING = {Action.CANCEL: _CANCEL, Action.PAUSE: _PAUSE, Action.RESUME: _RESUME, Action.RETRY: _RETRY}
_RUNNING = {Action.CANCEL: _ASK_TO_CANCEL, Action.PAUSE: _ASK_TO_PAUSE}

# In which rows the action would still change something.
_CHANGEABLE = {
    Action.CANCEL: "(state IN ('queued', 'paused') OR (state = 'running' AND NOT cancel_requested))",
    Action.PAUSE: "(state = 'queued' OR (state = 'running' AND NOT cancel_requested AND NOT pause_requested))",
    Action.RESUME: "state = 'paused'",
    Action.RETRY: f"(state IN ('failed', 'cancelled') AND (document_id IS NULL OR {_CAN_BE_PROCESSED}))",
}

# Jobs that deliver webhooks only by id or by kind: who cancels all wants to be told of it.
_FILTER = f"""
    ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::text[] IS NULL OR state = ANY($2))
    AND (kind = ANY($3) OR $3::text[] IS NULL AND ($1 IS NOT NULL OR {NOT_OURS}))
    AND ($4::uuid[] IS NULL OR document_id = ANY($4))
    AND ($5::uuid IS NULL OR user_id = $5) AND ($6::text IS NULL OR error ->> 'code' = $6)
    AND ($7::timestamptz IS NULL OR created_at > $7) AND ($8::timestamptz IS NULL OR created_at < $8)
    AND kind <> ALL($9::text[]) AND ($10::uuid IS NULL OR parent_id = $10) AND children IS NULL
"""


_NEWER = f"""
    SELECT d.job_id FROM jobs JOIN documents d ON d.id = jobs.document_id WHERE jobs.id = $1 AND NOT {_IS_NEWEST}
"""
_HINDERED = f"""
    SELECT count(*) FILTER (WHERE d.id IS NULL OR d.deleted_at IS NOT NULL) AS deleted,
        count(*) FILTER (WHERE d.deleted_at IS NULL AND NOT {_NOT_PUT_AWAY}) AS archived,
        count(*) FILTER (WHERE d.deleted_at IS NULL AND {_NOT_PUT_AWAY} AND NOT {_IS_NEWEST}) AS newer
    FROM (SELECT * FROM jobs WHERE state IN ('failed', 'cancelled') AND document_id IS NOT NULL AND {_FILTER}) jobs
    LEFT JOIN documents d ON d.id = jobs.document_id
"""


async def apply(driver: Driver, action: Action, ids: Sequence[UUID], *, apart: bool = False) -> Changed:
    """Does what is asked to those of the jobs whose state allows it. The caller has locked them: one that is claimed
    between the two statements here would hear of nothing.

    `apart`: a user means these jobs, and not the family that they are in.
    """
    asked = await driver.fetch(_RUNNING[action], ids) if action in _RUNNING else []
    held = [[row["id"] for row in await driver.fetch(_HOLD_DOCUMENTS, ids)]] if action is Action.RETRY else []
    rows = await driver.fetch(_WAITING[action], ids, *held)
    if action in (Action.RESUME, Action.RETRY):
        await driver.execute("SELECT line_up($1)", [row["id"] for row in rows])
    if apart and action is Action.RESUME and (of := {row["parent_id"] for row in rows if row["parent_id"]}):
        await driver.execute(_NO_LONGER_PAUSED, sorted(of))
    return Changed(rows=rows, asked=[row["id"] for row in asked])


async def cancel_of_document(driver: Driver, document_id: UUID) -> list[asyncpg.Record]:
    """Ends every unfinished job of a document at once, running or not."""
    return await cancel_of_documents(driver, [document_id])


async def cancel_of_documents(driver: Driver, document_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """The same for many."""
    await driver.execute(_LOCK_OF_DOCUMENTS, document_ids)
    return await driver.fetch(_CANCEL_OF_DOCUMENTS, document_ids)


async def matching(
    driver: Driver, action: Action, wanted: JobFilter, *, limit: int, locked: bool = False
) -> list[UUID]:
    """Jobs of the filter that the action would change. `locked`: without those that somebody else holds just now."""
    lock = "FOR NO KEY UPDATE SKIP LOCKED" if locked else ""
    rows = await driver.fetch(
        f"SELECT id FROM jobs WHERE {_CHANGEABLE[action]} AND {_FILTER} ORDER BY id LIMIT $11 {lock}",
        *_values(wanted),
        limit,
    )
    return [row["id"] for row in rows]


async def remaining(driver: Driver, action: Action, wanted: JobFilter) -> int:
    """How many `matching` would find without a limit."""
    found: int = await driver.fetchval(
        f"SELECT count(*) FROM jobs WHERE {_CHANGEABLE[action]} AND {_FILTER}", *_values(wanted)
    )
    return found


async def newer(driver: Driver, job_id: UUID) -> UUID | None:
    """The job that gives the document of this one its status since, where this one did."""
    found: UUID | None = await driver.fetchval(_NEWER, job_id)
    return found


async def hindered(driver: Driver, wanted: JobFilter) -> Hindered:
    """Why jobs of the filter that have failed or were cancelled are not among those that may be tried again."""
    row = await driver.fetchrow(_HINDERED, *_values(wanted))
    assert row is not None  # noqa: S101  # it counts
    return Hindered(**row)


def _values(wanted: JobFilter) -> tuple[Any, ...]:
    return (
        wanted.ids,
        wanted.states,
        wanted.kinds,
        wanted.document_ids,
        wanted.user_id,
        wanted.error_code,
        wanted.created_after,
        wanted.created_before,
        wanted.without,
        wanted.parent_id,
    )
