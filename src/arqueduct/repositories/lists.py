"""Pages of what a tenant has: jobs, their history, passages of a document.

Each takes one row more than is shown, if the caller wants to know whether there is a next page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from sqlmodel import select

from arqueduct.database import Transaction
from arqueduct.models import Job, JobEvent

__all__ = ["Workforce", "chunks_page", "events_page", "jobs_page", "workforce"]


@dataclass(frozen=True, kw_only=True)
class Workforce:
    """What decides when a queued job runs, as Postgres sees it at this moment."""

    now: datetime
    is_alive: bool
    """At least one worker gave a sign of life lately."""


async def workforce(transaction: Transaction, patience: timedelta) -> Workforce:
    """`patience`: how old a sign of life may be."""
    row = await transaction.driver.fetchrow(
        "SELECT now() AS now, EXISTS (SELECT FROM workers WHERE beat_at > now() - $1::interval) AS is_alive", patience
    )
    assert row is not None  # noqa: S101  # a SELECT without FROM always has a row
    return Workforce(now=row["now"], is_alive=row["is_alive"])


async def jobs_page(
    transaction: Transaction,
    *,
    limit: int,
    before: UUID | None = None,
    state: str | None = None,
    kind: str | None = None,
    document_id: UUID | None = None,
) -> Sequence[Job]:
    """The newest first, from the one older than `before`; ids are in order of creation."""
    query = select(Job).order_by(Job.id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column, not a UUID
    if before is not None:
        query = query.where(Job.id < before)
    for column, wanted in ((Job.state, state), (Job.kind, kind), (Job.document_id, document_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    return (await transaction.session.exec(query)).all()


async def events_page(
    transaction: Transaction, job_id: UUID, *, limit: int, after: int | None = None
) -> Sequence[JobEvent]:
    """The oldest first, from the one after the number `after`."""
    query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq).limit(limit)  # type: ignore[arg-type]  # a column, not an int
    if after is not None:
        query = query.where(JobEvent.seq > after)
    return (await transaction.session.exec(query)).all()


async def chunks_page(
    transaction: Transaction, document_id: UUID, *, limit: int, after: int | None = None
) -> Sequence[asyncpg.Record]:
    """In the order of the text, from the one after the ordinal `after`."""
    return await transaction.driver.fetch(
        "SELECT id, ordinal, text, first_page, last_page, start_offset, end_offset, tokens, heading FROM chunks "
        "WHERE document_id = $1 AND ordinal > $2::bigint ORDER BY ordinal LIMIT $3",
        document_id,
        -1 if after is None else after,
        limit,
    )
