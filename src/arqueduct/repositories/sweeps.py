"""Jobs that were left behind: found by what their row says, whatever happened to worker, queue or API."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.queue import WakeUp
from arqueduct.repositories.jobs import moving

__all__ = [
    "LOCK",
    "beat",
    "due_deletions",
    "forget_deletion",
    "forget_workers",
    "gauges",
    "lapsed",
    "redispatch",
    "unfollowed",
    "unsent",
]

LOCK = 0x61727176
"""Advisory lock of the one worker that sweeps at a moment ("arqv")."""

BATCH = 500
"""Rows of one sweep: some tenths of a second; what is left comes with the next."""

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
)

_REQUEUED = moving(
    "job_queued",
    f"""
    UPDATE jobs SET state = 'queued', stage = 'queued', seq = seq + 1, crashes = crashes + 1, dispatch = dispatch + 1,
        dispatched_at = NULL, run_after = now(), message = 'its worker gave no sign of life', eta_seconds = NULL,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE {_lapsed("NOT cancel_requested AND crashes + 1 < $1")}
    """,
)


async def lapsed(driver: Driver, *, max_crashes: int) -> list[asyncpg.Record]:
    """Takes running jobs whose lease lapsed: back to the queue, or to an end; returns their new states."""
    cancelled = await driver.fetch(_CANCELLED)
    quarantined = await driver.fetch(_QUARANTINED, max_crashes)
    return [*cancelled, *quarantined, *await driver.fetch(_REQUEUED, max_crashes)]


async def unsent(driver: Driver, *, older: timedelta) -> list[WakeUp]:
    """Queued jobs that nobody dispatched: the API died after its commit, or Redis was away."""
    rows = await driver.fetch(
        "SELECT id, dispatch, run_after FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL "
        "AND updated_at < now() - $1::interval ORDER BY run_after LIMIT $2",
        older,
        BATCH,
    )
    return [WakeUp(*row) for row in rows]


async def unfollowed(driver: Driver, *, older: timedelta) -> list[WakeUp]:
    """Queued jobs that were dispatched and due long ago, and that no worker has claimed."""
    rows = await driver.fetch(
        "SELECT id, dispatch, run_after FROM jobs WHERE state = 'queued' "
        "AND greatest(dispatched_at, run_after) < now() - $1::interval ORDER BY run_after LIMIT $2",
        older,
        BATCH,
    )
    return [WakeUp(*row) for row in rows]


async def redispatch(driver: Driver, lost: Sequence[WakeUp]) -> list[WakeUp]:
    """Voids wake-ups that Redis lost; returns their successors."""
    rows = await driver.fetch(
        "UPDATE jobs j SET dispatch = j.dispatch + 1, dispatched_at = NULL "
        "FROM unnest($1::uuid[], $2::int[]) AS lost(id, dispatch) "
        "WHERE j.id = lost.id AND j.dispatch = lost.dispatch AND j.state = 'queued' "
        "RETURNING j.id, j.dispatch, j.run_after",
        [wake_up.job_id for wake_up in lost],
        [wake_up.dispatch for wake_up in lost],
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


async def gauges(driver: Driver, *, lease: timedelta) -> asyncpg.Record:
    """`queued, oldest_queued_seconds, live_workers` over all tenants."""
    rows = await driver.fetch(
        "SELECT count(*) AS queued, "
        "coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE run_after <= now())), 0)::float8 "
        "AS oldest_queued_seconds, "
        "(SELECT count(*) FROM workers WHERE beat_at > now() - $1::interval) AS live_workers "
        "FROM jobs WHERE state = 'queued'",
        lease,
    )
    return rows[0]
