"""What of a tenant's jobs is not finished."""

from dataclasses import dataclass

from arqueduct.database import Transaction

__all__ = ["Backlog", "backlog"]


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Jobs by state."""

    queued: int
    running: int
    paused: int
    oldest_due_seconds: float
    """For how long the oldest job that is due has been waiting; 0 where none is."""


_BACKLOG = """
    SELECT count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE state = 'paused') AS paused,
        coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE state = 'queued' AND run_after <= now())), 0)
            ::float8 AS oldest_due_seconds
    FROM jobs WHERE state IN ('queued', 'running', 'paused')
"""


async def backlog(transaction: Transaction) -> Backlog:
    """Of the transaction's tenant."""
    row = await transaction.driver.fetchrow(_BACKLOG)
    assert row is not None  # noqa: S101  # an aggregate always has a row
    return Backlog(**row)
