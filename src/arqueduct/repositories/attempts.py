"""Attempts at a job: who ran it, and how each ended."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from arqueduct.database import Transaction

__all__ = ["MOST", "attempts_of"]

MOST = 100
"""Attempts shown: errors end a job after a few; only what is handed back or put aside again and again has more."""

_ATTEMPTS = """
    SELECT * FROM (
        SELECT attempt, CASE WHEN $2 THEN worker END AS worker, version, started_at, ended_at, outcome, stage, code,
            message, CASE WHEN $2 THEN traceback END AS traceback
        FROM job_attempts WHERE job_id = $1 ORDER BY attempt DESC LIMIT $3
    ) newest ORDER BY attempt
"""


async def attempts_of(transaction: Transaction, job_id: UUID, *, inspected: bool) -> Sequence[asyncpg.Record]:
    """The newest `MOST`, the oldest of them first. `inspected`: with tracebacks and the names of workers."""
    return await transaction.driver.fetch(_ATTEMPTS, job_id, inspected, MOST)
