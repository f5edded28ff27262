"""File sets: which documents belong together, and where each lies among them."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import EMPTY_OBJECT, moment, tenant

__all__ = ["FileSet", "FileSetFile"]


class FileSet(SQLModel, table=True):
    """A named group of documents."""

    __tablename__: ClassVar[str] = "file_sets"
    __table_args__ = (Index("file_sets_tenant_id_id_idx", "tenant_id", "id"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))
    facts: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column("metadata", JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    """Of the set itself: files that come or go do not move it."""
    archived_at: datetime | None = Field(default=None, sa_column=moment())


class FileSetFile(SQLModel, table=True):
    """A document in a set. It leaves the set when it is deleted, and may be in others."""

    __tablename__: ClassVar[str] = "file_set_files"
    __table_args__ = (
        UniqueConstraint("file_set_id", "path", name="file_set_files_file_set_id_path_key"),
        Index("file_set_files_document_id_idx", "document_id"),
    )
    file_set_id: UUID = Field(
        sa_column=Column(ForeignKey("file_sets.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    document_id: UUID = Field(
        sa_column=Column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    tenant_id: UUID = Field(sa_column=tenant())
    path: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    """Steps joined by `/`, the last one the name of the file; see `arqueduct_backend.filenames.relative`."""
    added_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
