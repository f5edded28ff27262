"""Batches, as clients see and send them."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from arqueduct import models
from arqueduct.formats import Format
from arqueduct.lifecycle import JobState
from arqueduct.repositories.choices import DocumentFilter
from arqueduct_backend.family_schemas import ErrorPolicy
from arqueduct_backend.overseeing import Moment
from arqueduct_backend.project_schemas import Code, Name, ProfileRef
from arqueduct_backend.schemas import Answer, DocumentStatus, Job

__all__ = ["Batch", "BatchAccepted", "BatchAsked", "DocumentChoice"]

MOST_NAMED = 20_000
"""As many ids as a body of a megabyte holds, whatever ARQUEDUCT_MAX_FAMILY is; a filter is not bound by it."""

Action = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{1,100}$")]


class DocumentChoice(BaseModel):
    """Documents that fit every field that is given."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    statuses: Annotated[list[DocumentStatus] | None, Field(min_length=1, max_length=10)] = None
    content_types: Annotated[list[Format] | None, Field(min_length=1, max_length=50)] = None
    file_set_id: UUID | None = None
    project_id: UUID | None = None
    """Those of its newest run."""
    error_code: Code | None = None
    """Of the document's newest job."""
    created_after: Moment | None = None
    created_before: Moment | None = None
    archived: bool | None = None
    """Only `document.restore` is for archived documents; every other action leaves them out anyway."""

    def filter(self) -> DocumentFilter:
        return DocumentFilter(**self.model_dump(mode="python"))


class BatchAsked(BaseModel):
    """The same job for many documents."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"action": "document.ingest", "filter": {"statuses": ["failed"]}},
                {"action": "document.ingest", "document_ids": ["019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"]},
            ]
        },
    )
    action: Action = "document.ingest"
    """The kind of the jobs: any pipeline for documents that is installed."""
    name: Name = "batch"
    document_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=MOST_NAMED)] = None
    """At most 20,000; for more give a filter."""
    filter: DocumentChoice | None = None
    """Instead of naming them. An empty object: every document of the tenant."""
    profile: ProfileRef = None
    """Id or name of a processing profile of this pipeline. Null: none."""
    policy: ErrorPolicy = ErrorPolicy()

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.document_ids is None) == (self.filter is None):
            raise PydanticCustomError("one_of_two", "Give either document_ids or filter.")
        return self


class Batch(Answer):
    """A job whose children do the same to many documents."""

    id: UUID
    """Also that of its job."""
    name: str | None
    action: str = Field(examples=["document.ingest"])
    state: JobState
    progress: float = Field(ge=0, le=1)
    documents: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: models.Job) -> "Batch":
        return cls.model_validate(
            {
                "id": job.id,
                "name": job.document_name,
                "action": job.payload.get("action", ""),
                "state": JobState(job.state),
                "progress": round(job.progress, 4),
                "documents": job.children or 0,
                "created_at": job.created_at,
                "started_at": job.started_at,
                "finished_at": job.finished_at,
            }
        )


class BatchAccepted(Answer):
    """A batch, and its job."""

    batch: Batch
    job: Job
