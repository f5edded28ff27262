"""What the API says about jobs with children: projects and batches."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from arqueduct.families import Counts, OnError, Policy
from arqueduct.lifecycle import JobState
from arqueduct.repositories.parents import Tally
from arqueduct_backend.schemas import Answer, JobError, Page

__all__ = ["ChildCounts", "ChildJob", "Cost", "ErrorPolicy", "Estimate", "FamilyStatus", "Throughput"]

STOPS_AT, GOES_ON_TO = 0.0, 1.0
"""Thresholds where none is named: stop at the first failure, or never call it failed while something was completed."""


class ErrorPolicy(BaseModel):
    """What becomes of the others when some fail."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    on_error: OnError = OnError.CONTINUE
    """`continue`: all are tried. `stop_on_error`: once more failed than may, the others are cancelled."""
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share that may fail before the whole counts as failed. Left out: 1 for `continue`, 0 for `stop_on_error`."""

    def policy(self) -> Policy:
        usual = GOES_ON_TO if self.on_error is OnError.CONTINUE else STOPS_AT
        return Policy(on_error=self.on_error, threshold=usual if self.threshold is None else self.threshold)


class ChildCounts(Answer):
    """Children by state."""

    total: int
    queued: int
    running: int
    paused: int
    completed: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, counts: Counts) -> "ChildCounts":
        return cls(
            total=counts.total,
            queued=counts.queued,
            running=counts.running,
            paused=counts.paused,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
        )


class Throughput(Answer):
    """While any child ran: pauses, and the time between an end and a retry, are left out."""

    elapsed_seconds: float
    documents_per_hour: float
    pages_per_hour: float
    bytes_per_second: float

    @classmethod
    def of(cls, tally: Tally, seconds: float) -> "Throughput":
        return cls(
            elapsed_seconds=round(seconds, 3),
            documents_per_hour=round(tally.counts.completed / seconds * 3600, 2),
            pages_per_hour=round(tally.pages / seconds * 3600, 2),
            bytes_per_second=round(tally.size_done / seconds, 2),
        )


class Cost(Answer):
    """What all attempts of all children have cost, those that failed too."""

    tokens: int
    """Bought from the embedder, estimated."""
    embedding_requests: int
    """Batches asked for; jobs share requests, so a provider may count fewer."""
    cache_hits: int
    """Vectors that were there already."""


class Estimate(Answer):
    """Seconds until the end, from measured rates; docs/eta.md says how good it is."""

    seconds: int
    low: int
    high: int


class ChildJob(Answer):
    """One child, which is about one document."""

    job_id: UUID
    kind: str = Field(examples=["document.ingest"])
    document_id: UUID | None
    name: str | None = Field(examples=["handbook.pdf"])
    path: str | None = Field(examples=["2026/handbook.pdf"])
    """Within the file set, where it is in one."""
    state: JobState
    stage: str = Field(examples=["extracting"])
    progress: float = Field(ge=0, le=1)
    message: str | None
    details: dict[str, Any] = Field(examples=[{"done": 12, "total": 20, "unit": "pages"}])
    eta_seconds: int | None
    error: JobError | None
    attempt: int
    size: int
    pages: int
    chunks: int
    tokens: int
    took_seconds: float | None
    """From its first claim to its end, pauses and retries included."""
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "ChildJob":
        began, ended = row["started_at"], row["finished_at"]
        return cls.model_validate(
            {
                **{name: row[name] for name in ("kind", "document_id", "state", "stage", "message", "details")},
                **{name: row[name] for name in ("eta_seconds", "error", "size", "pages", "chunks", "tokens", "path")},
                "job_id": row["id"],
                "name": row["document_name"],
                "progress": round(row["progress"], 4),
                "attempt": row["fence"],
                "took_seconds": round((ended - began).total_seconds(), 3) if began and ended else None,
                "started_at": began,
                "finished_at": ended,
            }
        )


class FamilyStatus(Answer):
    """How a job with children stands at this moment, to the last child; live messages are a second behind."""

    id: UUID
    """Of the project or the batch."""
    job_id: UUID
    state: JobState
    progress: float = Field(ge=0, le=1)
    """Mean of the children's progress, weighted by how long each was expected to take."""
    message: str
    policy: ErrorPolicy
    counts: ChildCounts
    bytes_done: int
    bytes_total: int
    pages_done: int
    chunks_done: int
    throughput: Throughput | None
    """Null until children have run for a second."""
    eta: Estimate | None
    """Null while there is no basis for one, and once it has ended."""
    errors: dict[str, int] = Field(examples=[{"document_encrypted": 2}])
    """Failed children by the code of their error."""
    cost: Cost
    slowest: list[ChildJob]
    """Of those completed, at most five."""
    failed: list[ChildJob]
    """At most twenty; the error report has all."""
    files: Page[ChildJob]
    """The first, in the order in which they were asked for; `next_cursor` is one of `files`."""
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
