"""How a project or a batch stands, as the API answers it: read in one transaction, from its counters and a few of its
children.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from arqueduct.database import Driver, Transaction
from arqueduct.errors import NotFound
from arqueduct.families import OnError
from arqueduct.lifecycle import FINAL, JobState
from arqueduct.models import Job
from arqueduct.repositories import children, parents
from arqueduct.repositories.parents import Tally
from arqueduct.repositories.plans import by_index
from arqueduct_backend import cursors
from arqueduct_backend.family_schemas import (
    ChildCounts,
    ChildJob,
    Cost,
    ErrorPolicy,
    Estimate,
    FamilyStatus,
    Throughput,
)
from arqueduct_backend.pages import page_of
from arqueduct_backend.schemas import Page, error_of

__all__ = ["Pages", "files_of", "state_of", "status_of"]

SLOWEST, FAILED = 5, 20
LEAST_SECONDS = 1.0
"""Of a run, before its pace says anything: the beginning is noted with the first fold, up to an interval late."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Which of the children are shown."""

    limit: int
    cursor: str | None = None
    state: JobState | None = None


async def status_of(
    transaction: Transaction, job: Job, own_id: UUID, shown: Pages, *, file_set_id: UUID | None = None
) -> FamilyStatus:
    """`own_id`: of the project or the batch whose job it is. Raises `NotFound` for a job that has no children."""
    driver = transaction.driver
    row = await parents.now(driver, job.id)
    if row is None:
        raise NotFound
    tally, moment = Tally.of(row), row["at"]
    await by_index(driver)
    failed, errors, slowest = [], {}, []
    if tally.counts.failed:
        failed = await children.page(driver, job.id, limit=FAILED, state=JobState.FAILED, file_set_id=file_set_id)
        errors = await parents.errors(driver, job.id)
    if tally.counts.completed:
        slowest = await children.slowest(driver, job.id, limit=SLOWEST, file_set_id=file_set_id)
    state, active = _state(row, tally, job), _active(row, job)
    return FamilyStatus(
        id=own_id,
        job_id=job.id,
        state=state,
        progress=round(tally.progress, 4),
        message=parents.message_of(tally.counts),
        policy=ErrorPolicy(on_error=OnError(row["on_error"]), threshold=round(row["threshold"], 6)),
        counts=ChildCounts.of(tally.counts),
        bytes_done=tally.size_done,
        bytes_total=tally.size,
        pages_done=tally.pages,
        chunks_done=tally.chunks,
        throughput=Throughput.of(tally, active) if active >= LEAST_SECONDS else None,
        eta=_eta(row, tally, active) if state not in FINAL else None,
        errors=errors,
        cost=Cost(tokens=tally.tokens, embedding_requests=tally.embedding_requests, cache_hits=tally.cache_hits),
        slowest=[ChildJob.of(child) for child in slowest],
        failed=[ChildJob.of(child) for child in failed],
        files=await _files(driver, job.id, shown, file_set_id),
        error=error_of(job.error) if state in FINAL else None,
        created_at=job.created_at or moment,
        started_at=job.started_at,
        finished_at=job.finished_at if state in FINAL else None,
    )


async def files_of(
    transaction: Transaction, job_id: UUID, shown: Pages, *, file_set_id: UUID | None = None
) -> Page[ChildJob]:
    """A page of the children. Raises `InvalidCursor`."""
    await by_index(transaction.driver)
    return await _files(transaction.driver, job_id, shown, file_set_id)


async def _files(driver: Driver, job_id: UUID, shown: Pages, file_set_id: UUID | None) -> Page[ChildJob]:
    found = await children.page(
        driver,
        job_id,
        limit=shown.limit + 1,
        after=cursors.id_of("files", shown.cursor),
        state=shown.state,
        file_set_id=file_set_id,
    )
    return page_of(found, shown.limit, ChildJob.of, lambda last: cursors.of("files", last["id"]))


async def state_of(transaction: Transaction, job: Job) -> JobState:
    """As the status shows it: what may be done to a family goes by what its users have seen."""
    row = await parents.now(transaction.driver, job.id)
    return JobState(job.state) if row is None else _state(row, Tally.of(row), job)


def _state(row: asyncpg.Record, tally: Tally, job: Job) -> JobState:
    """By the counters, which are true at this moment, where the job's row is a second behind."""
    told = JobState(job.state)
    if told not in FINAL:
        return parents.standing_of(row, tally.counts, row["asked"], row["forgiven"]).state
    if tally.counts.finished == tally.counts.total and all(
        job.details.get(name) == getattr(tally.counts, name) for name in ("completed", "failed", "cancelled")
    ):
        return told
    return parents.standing_of(row, tally.counts, None, tally.counts.failed).state


def _active(row: asyncpg.Record, job: Job) -> float:
    """Seconds for which it ran, up to now."""
    is_running = job.state == JobState.RUNNING and row["rated_at"] is not None
    return float(row["active_seconds"]) + ((row["at"] - row["rated_at"]).total_seconds() if is_running else 0.0)


def _eta(row: asyncpg.Record, tally: Tally, active: float) -> Estimate | None:
    left = tally.left(row["fast_rate"], row["slow_rate"], active)
    if left is None:
        return None
    low, high = left.range
    return Estimate(seconds=left.seconds, low=low, high=high)
