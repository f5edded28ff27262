"""What the API says and takes. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from arqueduct.client.calls import OpenEnum

__all__ = [
    "Accepted",
    "Alive",
    "CheckAnswer",
    "Chunk",
    "Document",
    "Job",
    "JobAttempt",
    "JobAttempts",
    "JobError",
    "JobEvent",
    "JobSelection",
    "JobState",
    "Mode",
    "Outcome",
    "PageChunk",
    "PageDocument",
    "PageJob",
    "PageJobEvent",
    "Problem",
    "ProblemField",
    "Queue",
    "ReadinessAnswer",
    "SearchAnswer",
    "SearchHit",
    "SearchRequest",
    "Steered",
    "Ticket",
    "Version",
]


class JobState(OpenEnum):
    """Where a job stands. The row in Postgres is the only place that knows."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Mode(OpenEnum):
    """Which rankings are asked."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


class Outcome(OpenEnum):
    """How one attempt at a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRIED = "retried"
    SNOOZED = "snoozed"
    HANDED_BACK = "handed_back"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    WORKER_DIED = "worker_died"


class Accepted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document that was taken in, and the job that processes it."""

    document: "Document"
    job: "Job"


class Alive(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The event loop turns."""

    status: str = "alive"


class CheckAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is needed."""

    ok: bool
    detail: str


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage: characters `start` to `end` of the document's text."""

    id: UUID
    ordinal: int
    """0 …, gapless."""
    text: str
    pages: list[Any]
    """First and last page."""
    start: int
    end: int
    tokens: int
    heading: str | None


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that was uploaded, and what was read out of it."""

    id: UUID
    name: str
    content_type: str
    """Told by content, not by name."""
    size: int
    """Bytes."""
    sha256: str
    status: "JobState"
    """The state of its job."""
    title: str | None
    pages: int | None
    characters: int | None
    chunks: int | None
    metadata: dict[str, Any]
    error: "JobError | None"
    job_id: UUID
    created_at: datetime
    updated_at: datetime


class Job(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a pipeline."""

    id: UUID
    kind: str
    state: "JobState"
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    attempt: int
    """0 before the first worker took it."""
    eta_seconds: int | None
    error: "JobError | None"
    document_id: UUID | None
    document_name: str | None
    parent_id: UUID | None
    seq: int
    """Grows with every change; live messages carry the same number."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting_for: str | None
    """Why a queued job does not run; null in every other state."""
    position: int | None = None
    """How many jobs begin before this one if nothing changes, where one job is asked for and it waits for its turn."""
    priority: Literal["interactive", "normal", "bulk"]
    """Which of the tenant's jobs goes first: `interactive`, then `normal`, then `bulk`."""


class JobAttempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at a job."""

    attempt: int
    worker: str
    version: str
    """Of the worker."""
    started_at: datetime
    ended_at: datetime | None
    outcome: "Outcome | None"
    """Null while it runs."""
    stage: str | None
    """Where it was when it ended."""
    code: str | None
    message: str | None
    traceback: str | None
    """For owners and administrators of the tenant; null for everybody else, and where there was no error."""


class JobAttempts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest hundred, the oldest of them first."""

    items: "list[JobAttempt]"


class JobError(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a job failed, or why it is tried again."""

    code: str
    message: str
    stage: str | None = None
    retryable: bool = False
    advice: str = ""


class JobEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a job's history."""

    seq: int
    type: str
    state: "JobState"
    stage: str
    progress: float
    message: str | None
    details: dict[str, Any]
    error: "JobError | None"
    attempt: int
    timestamp: datetime


class JobSelection(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which of the tenant's jobs are meant: those that fit every field that is given. An empty list fits none."""

    ids: list[UUID] | UnsetType | None = UNSET
    states: "list[JobState] | UnsetType | None" = UNSET
    kinds: list[str] | UnsetType | None = UNSET
    document_ids: list[UUID] | UnsetType | None = UNSET
    user_id: UUID | UnsetType | None = UNSET
    """Who created them."""
    error_code: str | UnsetType | None = UNSET
    """Of the job's newest error."""
    created_after: datetime | UnsetType | None = UNSET
    created_before: datetime | UnsetType | None = UNSET
    all: bool | UnsetType = UNSET
    """Every job of the tenant. Instead of the other fields."""


class PageChunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Chunk]"""

    items: "list[Chunk]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Document]"""

    items: "list[Document]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageJobEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[JobEvent]"""

    items: "list[JobEvent]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class PageJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Page[Job]"""

    items: "list[Job]"
    next_cursor: str | None
    """Pass it as `cursor` for the next page; null on the last one."""


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457; every answer of 400 and above is one."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """The name to match on."""
    request_id: str | None
    """Under which the log has it."""
    advice: str
    """What to do."""
    errors: "list[ProblemField]"
    limit: int | None = None
    """With 413: how many bytes are accepted."""
    state: "JobState | None" = None
    """With 409: the state that does not allow it."""


class ProblemField(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a request."""

    detail: str
    pointer: str | None = None
    """Where in the body, as a JSON pointer."""
    parameter: str | None = None
    """Which parameter …"""
    in_: str | None = field(default=None, name="in")
    """… of `path`, `query` or `header`."""


class Queue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tenant's jobs that are not finished, and what decides when they run."""

    queued: int
    running: int
    paused: int
    unfinished: int
    """All three."""
    oldest_due_seconds: float
    """For how long the oldest job that is due has been waiting; 0 where none is."""
    live_workers: int
    """Of the whole installation."""
    is_paused: bool
    """By an administrator: the queue, or this tenant's part of it."""
    in_flight: int
    """Jobs that run, or that workers will take next."""
    max_running: int | None
    """How many may be in flight; null: as many as there are workers for."""
    paused_kinds: list[str]
    full_kinds: list[str]
    """Kinds of which as many run as may."""


class ReadinessAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that is needed to serve."""

    status: str
    checks: "dict[str, CheckAnswer]"


class SearchAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The best first."""

    items: "list[SearchHit]"


class SearchHit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A passage that answers the query."""

    document_id: UUID
    document_name: str
    chunk_id: UUID
    text: str
    highlight: str
    """HTML: escaped text with found words in `<mark>`."""
    pages: list[Any]
    heading: str | None
    score: float
    """Comparable within one answer only."""
    ranks: dict[str, int]
    """Its place, from 1, in each ranking that found it."""


class SearchRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to look for, and how."""

    query: str
    """Between 1 and 2,000 characters, white space at both ends not counted."""
    mode: "Mode | UnsetType" = UNSET
    limit: int | UnsetType = UNSET
    document_ids: list[UUID] | UnsetType | None = UNSET
    """Look only into these; those of other tenants are passed over."""


class Steered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the selected jobs."""

    changed: int
    """Jobs that were waiting, or had ended, and are in their new state now."""
    asked: int
    """Jobs that run; their workers were told and stop within moments."""
    remaining: int
    """Jobs that the same request would change now: more than one request does, or held by somebody all the time."""


class Ticket(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pass for one live connection."""

    ticket: str
    expires_in: int = 30


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What runs here."""

    name: str = "arqueduct"
    version: str = "0.1.0"
