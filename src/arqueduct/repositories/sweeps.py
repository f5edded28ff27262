"""Jobs that were left behind: found by what their row says, whatever happened to worker, queue or API."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.lifecycle import Outcome
from arqueduct.queue import WakeUp
from arqueduct.repositories.statements import moving

__all__ = [
    "LOCK",
    "beat",
    "due_deletions",
    "forget_deletion",
    "forget_workers",
    "health",
    "lapsed",
    "unfollowed",
]

LOCK = 0x61727176
"""Advisory lock of the one worker that sweeps at a moment ("arqv")."""

BATCH = 500
"""Rows of one sweep: some tenths of a second; what is left comes with the next."""

MOST_UNFOLLOWED = 10_000
"""More than any run-way holds."""

_LAPSED = "state = 'running' AND lease_until < now()"
_TAKEN = "SELECT id FROM jobs WHERE {where} ORDER BY id LIMIT {most} FOR NO KEY UPDATE SKIP LOCKED"


def _lapsed(where: str) -> str:
    return f"id IN ({_TAKEN.format(where=f'{_LAPSED} AND {where}', most=BATCH)})"


_CANCELLED = moving(
    "job_cancelled",
    f"""
    UPDATE jobs SET state = 'cancelled', stage = 'cancelled', seq = seq + 1, message = NULL, eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, finished_at = now(), updated_at = now(), cancel_requested = false
    WHERE {_lapsed("cancel_requested")}
    """,
    outcome=Outcome.WORKER_DIED,
)

_PAUSED = moving(
    "job_progress",
    f"""
    UPDATE jobs SET state = 'paused', stage = 'paused', seq = seq + 1, crashes = crashes + 1, dispatch = dispatch + 1,
        dispatched_at = NULL, message = 'its worker gave no sign of life', eta_seconds = NULL, lease_owner = NULL,
        lease_until = NULL, updated_at = now(), pause_requested = false
    WHERE {_lapsed("pause_requested AND NOT cancel_requested")}
    """,
    outcome=Outcome.WORKER_DIED,
)

_QUARANTINED = moving(
    "job_failed",
    f"""
    UPDATE jobs SET state = 'failed', stage = 'failed', seq = seq + 1, crashes = crashes + 1, eta_seconds = NULL,
        error = jsonb_build_object('code', 'worker_died', 'stage', stage, 'retryable', true,
            'message', 'The worker died every time it ran this job.',
            'advice', 'Look into the worker''s log for what it died of, then retry the job.'),
        message = 'The worker died every time it ran this job.',
        lease_owner = NULL, lease_until = NULL, finished_at = now(), updated_at = now()
    WHERE {_lapsed("NOT cancel_requested AND crashes + 1 >= $1")}
    """,
    outcome=Outcome.WORKER_DIED,
)

_REQUEUED = moving(
    "job_queued",
    f"""
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, crashes = crashes + 1, dispatch = dispatch + 1,
        dispatched_at = NULL, run_after = now(), message = 'its worker gave no sign of life', eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE {_lapsed("NOT cancel_requested AND NOT pause_requested AND crashes + 1 < $1")}
    """,
    outcome=Outcome.WORKER_DIED,
)


async def lapsed(driver: Driver, *, max_crashes: int) -> list[asyncpg.Record]:
    """Takes running jobs whose lease lapsed: back to the queue, or to an end; returns their new states."""
    cancelled = await driver.fetch(_CANCELLED)
    quarantined = await driver.fetch(_QUARANTINED, max_crashes)
    paused = await driver.fetch(_PAUSED)
    return [*cancelled, *quarantined, *paused, *await driver.fetch(_REQUEUED, max_crashes)]


async def unfollowed(driver: Driver, *, older: timedelta) -> list[WakeUp]:
    """Queued jobs that were admitted to the run-way long ago, and that no worker has claimed."""
    rows = await driver.fetch(
        "SELECT id, dispatch, dispatched_at FROM jobs WHERE state = 'queued' "
        "AND dispatched_at < now() - $1::interval ORDER BY dispatched_at LIMIT $2",
        older,
        MOST_UNFOLLOWED,
    )
    return [WakeUp(*row) for row in rows]


async def beat(driver: Driver, worker: str, *, version: str, concurrency: int, running: int) -> None:
    """A worker's sign of life."""
    await driver.execute(
        "INSERT INTO workers (id, version, concurrency, running) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (id) DO UPDATE SET running = excluded.running, beat_at = now()",
        worker,
        version,
        concurrency,
        running,
    )


async def forget_workers(driver: Driver, *, older: timedelta) -> None:
    await driver.execute("DELETE FROM workers WHERE beat_at < now() - $1::interval", older)


async def due_deletions(driver: Driver, *, older: timedelta) -> list[asyncpg.Record]:
    """Deleted documents whose parts are looked at once more: `document_id, tenant_id`."""
    return await driver.fetch(
        "SELECT document_id, tenant_id FROM deletions WHERE created_at < now() - $1::interval "
        "ORDER BY created_at LIMIT 50",
        older,
    )


async def forget_deletion(driver: Driver, document_id: UUID) -> None:
    await driver.execute("DELETE FROM deletions WHERE document_id = $1", document_id)


async def health(driver: Driver, *, alive: timedelta) -> asyncpg.Record:
    """Over all tenants: `queued, running, paused, retrying, oldest_queued_seconds, live_workers, lapsed_leases,
    quarantined`. `alive`: how old the sign of life of a live worker may be."""
    rows = await driver.fetch("SELECT * FROM queue_health($1)", alive)
    return rows[0]
