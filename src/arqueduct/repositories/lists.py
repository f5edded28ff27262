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
from arqueduct.repositories.children import BATCH, PROJECT
from arqueduct.webhooks.kinds import OURS

__all__ = ["Workforce", "chunks_page", "events_page", "job", "jobs_page", "position", "workforce"]


@dataclass(frozen=True, kw_only=True)
class Workforce:
    """What decides when a queued job of a tenant runs, as Postgres sees it at this moment."""

    now: datetime
    live_workers: int
    """That gave a sign of life lately."""
    is_paused: bool
    """The queue, or this tenant's part of it."""
    in_flight: int
    """Jobs of the tenant that run, or that workers will take next."""
    max_running: int | None
    """How many may be in flight."""
    paused_kinds: list[str]
    full_kinds: list[str]
    """Kinds of which as many run as may."""

    def holds(self, job: Job) -> str | None:
        """Why a job that is due is not taken, in the words of the API; None for one that waits for its turn."""
        if not self.live_workers:
            return "no live worker"
        if self.is_paused:
            return "the queue is paused"
        if job.kind in self.paused_kinds:
            return "jobs of this kind are paused"
        if job.dispatched_at is not None:
            return "a free worker"
        if self.max_running is not None and self.in_flight >= self.max_running:
            return f"tenant limit of {self.max_running}"
        if job.kind in self.full_kinds:
            return "limit for jobs of this kind"
        return None


async def workforce(transaction: Transaction, patience: timedelta) -> Workforce:
    """Of the transaction's tenant. `patience`: how old a worker's sign of life may be."""
    row = await transaction.driver.fetchrow("SELECT now() AS now, * FROM queue_of_tenant($1)", patience)
    assert row is not None  # noqa: S101  # a function with OUT parameters always has a row
    return Workforce(**row)


async def position(transaction: Transaction, job_id: UUID) -> int | None:
    """How many jobs begin before this one if nothing changes; None for one that does not stand in the line."""
    found: int | None = await transaction.driver.fetchval("SELECT position_in_line($1)", job_id)
    return found


async def job(transaction: Transaction, job_id: UUID, *, without: Sequence[str], locked: bool = False) -> Job | None:
    """One that is not of the kinds `without`. `locked`: nobody else changes it until the transaction ends."""
    query = select(Job).where(Job.id == job_id, Job.kind.not_in(without))  # type: ignore[attr-defined]  # a column, not a str
    if locked:
        query = query.with_for_update()
    return (await transaction.session.exec(query)).one_or_none()


async def jobs_page(
    transaction: Transaction,
    *,
    without: Sequence[str],
    limit: int,
    before: UUID | None = None,
    state: str | None = None,
    kind: str | None = None,
    document_id: UUID | None = None,
    parent_id: UUID | None = None,
) -> Sequence[Job]:
    """The newest first, from the one older than `before`; ids are in order of creation.

    None of the kinds `without` is among them; jobs that deliver webhooks are only where their kind is asked for.
    """
    query = select(Job).where(Job.kind.not_in(without)).order_by(Job.id.desc()).limit(limit)  # type: ignore[attr-defined]  # columns
    if before is not None:
        query = query.where(Job.id < before)
    if kind is None:
        query = query.where(Job.kind.not_like(OURS))  # type: ignore[attr-defined]  # a column, not a str
    if kind in (BATCH, PROJECT):  # or all children would be read that are newer
        query = query.where(Job.children.is_not(None))  # type: ignore[union-attr]  # a column, not an int
    for column, wanted in (
        (Job.state, state),
        (Job.kind, kind),
        (Job.document_id, document_id),
        (Job.parent_id, parent_id),
    ):
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
