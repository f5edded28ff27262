"""What is old leaves. The statements are functions of the schema (sql/versions), which run as its owner: no role that
serves may delete a job. Each deletes one batch and says where to go on.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from arqueduct.database import Driver

__all__ = [
    "BEGINNING",
    "LOCK",
    "Looked",
    "Position",
    "prune_answers",
    "prune_deliveries",
    "prune_events",
    "prune_jobs",
    "prune_sessions",
]

LOCK = 0x61727177
"""Advisory lock of the one worker that prunes at a moment ("arqw")."""

BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Position:
    """Between two finished jobs, in order of their end."""

    finished_at: datetime = BEGINNING
    job_id: UUID = field(default=UUID(int=0))


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What became of one batch of finished jobs."""

    looked: int
    """With the children of parents."""
    jobs: int
    """Deleted, each with its history."""
    attempts: int
    """Deleted, of jobs that stay."""
    position: Position
    """Behind the last one looked at."""


async def prune_jobs(driver: Driver, *, older: timedelta, most: int, after: Position) -> Looked:
    """Looks at the next jobs, about `most`, that finished longer than `older` ago, and deletes those that may go.

    A job stays as long as a document or a project names it or one of its family, or one of its family is younger; a
    family goes at once, with its parent. Of one that stays only the last attempt does. Fewer than `most` looked at
    means that there are no more.
    """
    row = await driver.fetchrow(
        "SELECT * FROM prune_jobs($1, $2, $3, $4)", older, most, after.finished_at, after.job_id
    )
    assert row is not None  # noqa: S101  # a function with OUT parameters returns one row
    return Looked(
        looked=row["looked"],
        jobs=row["pruned_jobs"],
        attempts=row["pruned_attempts"],
        position=Position(finished_at=row["after_at"], job_id=row["after_id"]),
    )


async def prune_answers(driver: Driver, *, older: timedelta, most: int) -> int:
    """Deletes at most `most` answers kept for idempotency keys, the oldest first; returns how many."""
    rows = await driver.fetch(
        "DELETE FROM kept_answers WHERE (tenant_id, user_id, key) IN (SELECT tenant_id, user_id, key FROM kept_answers "
        "WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2) RETURNING 1",
        older,
        most,
    )
    return len(rows)


async def prune_deliveries(driver: Driver, *, older: timedelta, most: int) -> int:
    """Deletes the next `most` deliveries of webhooks that ended longer than `older` ago; returns how many."""
    pruned: int = await driver.fetchval("SELECT prune_deliveries($1, $2)", older, most)
    return pruned


async def prune_sessions(driver: Driver, *, most: int) -> int:
    """Deletes at most `most` sessions that are over, with their refresh tokens; returns how many."""
    rows = await driver.fetch(
        "DELETE FROM sessions WHERE id IN ("
        "SELECT id FROM sessions WHERE expires_at < now() ORDER BY expires_at LIMIT $1) RETURNING 1",
        most,
    )
    return len(rows)


async def prune_events(driver: Driver, *, older: timedelta, most: int, after: datetime) -> tuple[int, datetime]:
    """Deletes about `most` lines of history older than `older`, of finished jobs, never a job's last one.

    Returns how many, and from which moment to go on; fewer than `most` means that there are no more.
    """
    row = await driver.fetchrow("SELECT * FROM prune_events($1, $2, $3)", older, most, after)
    assert row is not None  # noqa: S101  # a function with OUT parameters returns one row
    return row["pruned"], row["after_at"]
