"""What the API says, as clients see it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from arqueduct import models
from arqueduct.eta import Estimate
from arqueduct.lifecycle import JobState, Priority
from arqueduct.repositories.documents import Listed
from arqueduct.repositories.jobs import eta_range
from arqueduct.repositories.lists import Workforce
from arqueduct.search import Hit, Mode

__all__ = [
    "Accepted",
    "Answer",
    "Chunk",
    "Document",
    "DocumentStatus",
    "Job",
    "JobError",
    "JobEvent",
    "Page",
    "PriorityName",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
    "error_of",
]

Item = TypeVar("Item")

PriorityName = Literal["interactive", "normal", "bulk"]
"""`lifecycle.Priority` by name."""

UPLOADED = "uploaded"
DocumentStatus = JobState | Literal["uploaded"]
"""What a document's newest job is in, or that it has none yet."""

MOST_DOCUMENTS = 1000
"""Documents that one search may name."""


class Answer(BaseModel):
    """Read-only: made from rows, never from what clients send."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Page(Answer, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class JobError(Answer):
    """Why a job failed, or why it is tried again."""

    code: str
    message: str
    stage: str | None = None
    retryable: bool = False
    advice: str = ""


class Job(Answer):
    """One run of a pipeline."""

    id: UUID
    kind: str = Field(examples=["document.ingest"])
    state: JobState
    stage: str = Field(examples=["extracting"])
    progress: float = Field(ge=0, le=1)
    message: str | None
    details: dict[str, Any] = Field(examples=[{"done": 12, "total": 20, "unit": "pages"}])
    attempt: int
    """0 before the first worker took it."""
    eta_seconds: int | None
    """Seconds until it is done, as likely too many as too few; null: nobody can tell. Of a queued job, with its wait,
    only where one job is asked for."""
    eta_range: list[int] | None = Field(examples=[[31, 58]])
    """`[least, most]` seconds until it is done: what comes lies between them eight times in ten."""
    error: JobError | None
    document_id: UUID | None
    document_name: str | None
    parent_id: UUID | None
    """Of a child: the job of the project or the batch that it belongs to."""
    children: int | None
    """Of the job of a project or a batch: how many it was made with. Null for a job that workers run."""
    seq: int
    """Grows with every change; live messages carry the same number."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting_for: str | None = Field(examples=["a free worker"])
    """Why a queued job does not run; null in every other state."""
    position: int | None = None
    """How many jobs begin before this one if nothing changes, where one job is asked for and it waits for its turn."""
    priority: PriorityName
    """Which of the tenant's jobs goes first: `interactive`, then `normal`, then `bulk`."""

    @classmethod
    def of(
        cls, row: models.Job, workforce: Workforce, position: int | None = None, eta: Estimate | None = None
    ) -> "Job":
        return cls.model_validate(
            {
                "id": row.id,
                "kind": row.kind,
                "state": JobState(row.state),
                "stage": row.stage,
                "progress": round(row.progress, 4),
                "message": row.message,
                "details": row.details,
                "attempt": row.fence,
                "eta_seconds": eta.seconds if eta else row.eta_seconds,
                "eta_range": eta.range if eta else eta_range(JobState(row.state), row.eta_seconds, row.eta_range),
                "error": error_of(row.error),
                "document_id": row.document_id,
                "document_name": row.document_name,
                "parent_id": row.parent_id,
                "children": row.children,
                "seq": row.seq,
                "created_at": row.created_at,
                "started_at": row.started_at,
                "finished_at": row.finished_at,
                "waiting_for": _waiting_for(row, workforce),
                "position": position,
                "priority": Priority(row.priority).name.lower(),
            }
        )


class JobEvent(Answer):
    """A line of a job's history."""

    seq: int
    type: str = Field(examples=["job_progress"])
    state: JobState
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    error: JobError | None
    attempt: int
    timestamp: datetime

    @classmethod
    def of(cls, row: models.JobEvent) -> "JobEvent":
        return cls.model_validate(
            {
                "seq": row.seq,
                "type": row.type,
                "state": JobState(row.state),
                "stage": row.stage,
                "progress": round(row.progress, 4),
                "message": row.message,
                "details": row.details,
                "error": error_of(row.error),
                "attempt": row.attempt,
                "timestamp": row.created_at,
            }
        )


class Document(Answer):
    """A file that was uploaded, and what was read out of it."""

    id: UUID
    name: str = Field(examples=["handbook.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    """Told by content, not by name."""
    size: int
    """Bytes."""
    sha256: str
    status: DocumentStatus
    """The state of its job; `uploaded` before it has one."""
    title: str | None
    pages: int | None
    characters: int | None
    chunks: int | None
    metadata: dict[str, Any]
    error: JobError | None
    job_id: UUID | None
    """Null before a job was made for it."""
    archived_at: datetime | None
    """Since when no search finds it; its text and passages can still be read, its content after a restore."""
    original_removed_at: datetime | None
    """When a policy of retention took the file; text and passages stay."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, listed: Listed) -> "Document":
        row, job = listed.document, listed.job
        return cls.model_validate(
            {
                "id": row.id,
                "name": row.name,
                "content_type": row.content_type,
                "size": row.size,
                "sha256": row.sha256,
                "status": JobState(job.state) if job else UPLOADED,
                "title": row.title,
                "pages": row.pages,
                "characters": row.characters,
                "chunks": row.chunks,
                "metadata": row.facts,
                "error": error_of(job.error) if job else None,
                "job_id": row.job_id,
                "archived_at": row.archived_at,
                "original_removed_at": row.original_removed_at,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
        )


class Accepted(Answer):
    """A document that was taken in, and the job that processes it."""

    document: Document
    job: Job


class Chunk(Answer):
    """A passage: characters `start` to `end` of the document's text."""

    id: UUID
    ordinal: int
    """0 …, gapless."""
    text: str
    pages: tuple[int, int]
    """First and last page."""
    start: int
    end: int
    tokens: int
    heading: str | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Chunk":
        return cls.model_validate(
            {
                "id": row["id"],
                "ordinal": row["ordinal"],
                "text": row["text"],
                "pages": (row["first_page"], row["last_page"]),
                "start": row["start_offset"],
                "end": row["end_offset"],
                "tokens": row["tokens"],
                "heading": row["heading"],
            }
        )


class SearchRequest(BaseModel):
    """What to look for, and how."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"query": "How long are backups kept?", "mode": "hybrid", "limit": 5}]},
    )
    query: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 2000, "pattern": r"[^\s\u0000]"})]
    """Between 1 and 2,000 characters, white space at both ends not counted."""
    mode: Mode = Mode.HYBRID
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    document_ids: Annotated[list[UUID] | None, Field(max_length=MOST_DOCUMENTS)] = None
    """Look only into these; those of other tenants are passed over."""


class SearchHit(Answer):
    """A passage that answers the query."""

    document_id: UUID
    document_name: str
    chunk_id: UUID
    text: str
    highlight: str
    """HTML: escaped text with found words in `<mark>`."""
    pages: tuple[int, int]
    heading: str | None
    score: float
    """Comparable within one answer only."""
    ranks: dict[str, int] = Field(examples=[{"vector": 2, "text": 1}])
    """Its place, from 1, in each ranking that found it."""

    @classmethod
    def of(cls, hit: Hit) -> "SearchHit":
        return cls.model_validate(
            {
                "document_id": hit.document_id,
                "document_name": hit.document_name,
                "chunk_id": hit.chunk_id,
                "text": hit.text,
                "highlight": hit.highlight,
                "pages": hit.pages,
                "heading": hit.heading,
                "score": hit.score,
                "ranks": hit.ranks,
            }
        )


class SearchAnswer(Answer):
    """The best first."""

    items: list[SearchHit]


def error_of(stored: dict[str, Any] | None) -> JobError | None:
    """As a job's row has it."""
    return JobError.model_validate(stored) if stored else None


def _waiting_for(row: models.Job, workforce: Workforce) -> str | None:
    if row.state != JobState.QUEUED:
        return None
    if row.children is not None:
        return "its first child"
    if row.run_after is not None and row.run_after > workforce.now:
        return f"until {row.run_after.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return workforce.holds(row) or "its turn"
