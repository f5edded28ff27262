"""File sets, as clients see and send them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from arqueduct import models
from arqueduct.errors import ArqueductError
from arqueduct.naming import Label
from arqueduct.repositories.file_sets import Entry
from arqueduct.storable import text
from arqueduct_backend.patches import MAY_BE_LEFT_OUT, Patch
from arqueduct_backend.schemas import Answer, Document, DocumentStatus
from arqueduct_backend.small_json import small

__all__ = [
    "Description",
    "DocumentsAdded",
    "DocumentsNamed",
    "FileAnswer",
    "FileRefused",
    "FileSet",
    "FileSetAsked",
    "FileSetChange",
    "FileSetFile",
    "FileSetFileChange",
    "FileSetFilled",
    "FileSetStatistics",
]

MOST_DOCUMENTS = 1000
"""That one request may name."""


def _or_none(description: str | None) -> str | None:
    return description or None


Name = Annotated[Label, Field(examples=["Contracts 2026"])]
Description = Annotated[
    Annotated[str, AfterValidator(text)] | None,
    Field(max_length=2000, examples=["Signed ones only."]),
    AfterValidator(_or_none),
]
"""Nothing where it says nothing."""
Metadata = Annotated[dict[str, Any], AfterValidator(small), Field(examples=[{"department": "sales"}])]


class FileSetAsked(BaseModel):
    """The fields of a form that makes a set, beside its files."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    description: Description = None
    metadata: Metadata = {}


class FileSetChange(Patch):
    """What to change of a set; what is not named stays."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "examples": [{"name": "Contracts 2026", "metadata": {"closed": True}}]},
    )
    name: Annotated[Name, MAY_BE_LEFT_OUT] = ""
    description: Annotated[Description, MAY_BE_LEFT_OUT] = None
    metadata: Annotated[Metadata, MAY_BE_LEFT_OUT] = Field(default={})
    """Replaces the whole of it. At most 16 kB as JSON, and eight levels deep."""


class FileSetFileChange(BaseModel):
    """Where a file lies in its set from now on."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [{"path": "signed/lease.pdf"}]}
    )
    path: Annotated[str, Field(min_length=1, max_length=1024, examples=["signed/lease.pdf"])]
    """Relative; made safe as with an upload. The document keeps its name."""


class DocumentsNamed(BaseModel):
    """Documents that are there already."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"document_ids": ["019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"]}]},
    )
    document_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_DOCUMENTS)]


class FileSet(Answer):
    """A named group of documents."""

    id: UUID
    name: str = Field(examples=["Contracts 2026"])
    description: str | None
    metadata: dict[str, Any] = Field(examples=[{"department": "sales"}])
    created_at: datetime
    updated_at: datetime
    """Of the set itself: files that come or go do not move it."""
    archived_at: datetime | None

    @classmethod
    def fields_of(cls, row: models.FileSet) -> dict[str, Any]:
        names = ("id", "name", "description", "created_at", "updated_at", "archived_at")
        return {"metadata": row.facts, **{name: getattr(row, name) for name in names}}

    @classmethod
    def of(cls, row: models.FileSet) -> "FileSet":
        return cls.model_validate(cls.fields_of(row))


class FileRefused(Answer):
    """Why a file was not taken into a set; the others are not hindered by it."""

    code: str = Field(examples=["duplicate_file"])
    message: str
    advice: str

    @classmethod
    def of(cls, error: ArqueductError) -> "FileRefused":
        return cls(code=error.code, message=error.message, advice=error.advice)


class FileAnswer(Answer):
    """What became of one file of a request."""

    name: str
    """The last step of its path."""
    path: str | None = Field(examples=["2026/handbook.pdf"])
    """In the set; null where what was sent cannot be one."""
    document_id: UUID | None
    accepted: bool
    error: FileRefused | None


class FileSetFilled(FileSet):
    """A set, and what became of the files that were sent."""

    files: list[FileAnswer]
    """In the order in which they came."""


class DocumentsAdded(Answer):
    """What became of the documents that were named."""

    files: list[FileAnswer]
    """In the order in which they were named."""


class FileSetFile(Answer):
    """A document in a set."""

    path: str = Field(examples=["2026/handbook.pdf"])
    added_at: datetime
    document: Document

    @classmethod
    def of(cls, entry: Entry) -> "FileSetFile":
        return cls.model_validate(
            {"path": entry.file.path, "added_at": entry.file.added_at, "document": Document.of(entry.listed)}
        )


class Amounts(Answer):
    """How much it is."""

    files: int
    bytes: int
    pages: int
    """Of documents that were read."""
    chunks: int
    tokens: int

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record]) -> "Amounts":
        return cls.model_validate({name: sum(row[name] for row in rows) for name in cls.model_fields})


class FileSetStatistics(Answer):
    """A set in numbers."""

    total: Amounts
    by_type: dict[str, Amounts] = Field(
        examples=[{"application/pdf": {"files": 3, "bytes": 480_000, "pages": 20, "chunks": 64, "tokens": 9_000}}]
    )
    by_status: dict[DocumentStatus, Amounts] = Field(
        examples=[{"uploaded": {"files": 3, "bytes": 480_000, "pages": 0, "chunks": 0, "tokens": 0}}]
    )

    @classmethod
    def of(cls, rows: Sequence[asyncpg.Record]) -> "FileSetStatistics":
        """Of a row for each type and status."""
        return cls.model_validate(
            {
                "total": Amounts.of(rows),
                "by_type": _by("content_type", rows),
                "by_status": _by("status", rows),
            }
        )


def _by(column: str, rows: Sequence[asyncpg.Record]) -> dict[str, Amounts]:
    return {
        value: Amounts.of([row for row in rows if row[column] == value])
        for value in sorted({row[column] for row in rows})
    }
