"""What is told of jobs over a socket, as a client's types."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from arqueduct.client.models import JobState

__all__ = ["ENDED", "JobMessage", "Said", "said"]

ENDED = frozenset({JobState.COMPLETED, JobState.PARTIALLY_COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States that a job leaves only by a retry that somebody asks for."""
OF_JOBS = frozenset({"job_queued", "job_progress", "batch_progress", "job_completed", "job_failed", "job_cancelled"})
HEARTBEAT_SECONDS = 20.0
"""Until the server says its own."""


class JobMessage(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of one job at one moment. Within a job `seq` strictly grows."""

    v: int
    message_id: str = msgspec.field(name="id")
    """`<job_id>:<seq>`; on the wire it is `id`. The job is `job_id`."""
    type: str
    """`job_queued`, `job_progress`, `batch_progress` (of a project or a batch), `job_completed`, `job_failed` or
    `job_cancelled`."""
    tenant_id: UUID
    job_id: UUID
    kind: str
    parent_id: UUID | None = None
    """The job of the project or the batch that it belongs to."""
    document_id: UUID | None
    document_name: str | None
    state: JobState
    stage: str
    progress: float
    """0 … 1 over the whole job; never goes backwards."""
    message: str | None
    details: dict[str, Any]
    eta_seconds: int | None
    eta_range: list[int] | None = None
    """Seconds at the least, and at the most."""
    error: dict[str, Any] | None
    attempt: int
    seq: int
    timestamp: datetime

    @property
    def has_ended(self) -> bool:
        """Whether this is the job's final state."""
        return self.state in ENDED


class Said(msgspec.Struct, frozen=True):
    """One message of the server, whatever it is about."""

    type: str
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    connection_id: str | None = None
    jobs: list[JobMessage] = []


_said = msgspec.json.Decoder(Said)
_job = msgspec.json.Decoder(JobMessage)


def said(text: str | bytes) -> Said:
    """A message about one job has it in `jobs`, as the snapshot has its many. Raises `msgspec.DecodeError`."""
    if text == "pong":
        return Said("pong")
    head = _said.decode(text)
    return Said(head.type, jobs=[_job.decode(text)]) if head.type in OF_JOBS else head
