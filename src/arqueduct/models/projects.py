"""File sets that are processed."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, Integer, Text
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, tenant

__all__ = ["Project", "ProjectRun"]


class Project(SQLModel, table=True):
    """A file set, processed under a profile."""

    __tablename__: ClassVar[str] = "projects"
    __table_args__ = (
        Index("projects_tenant_id_id_idx", "tenant_id", "id"),
        Index("projects_job_id_idx", "job_id"),
        Index("projects_file_set_id_idx", "file_set_id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))
    file_set_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("file_sets.id", ondelete="SET NULL")))
    """Null: the set was deleted since."""
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id"), nullable=False))
    """Of its newest run."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    archived_at: datetime | None = Field(default=None, sa_column=moment())


class ProjectRun(SQLModel, table=True):
    """One time that a project was processed, and under which version of which profile."""

    __tablename__: ClassVar[str] = "project_runs"
    __table_args__ = (Index("project_runs_job_id_idx", "job_id"),)
    project_id: UUID = Field(
        sa_column=Column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    number: int = Field(sa_column=Column(Integer, primary_key=True, nullable=False))
    """1 …"""
    tenant_id: UUID = Field(sa_column=tenant())
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False))
    profile_id: UUID | None = None
    """Null: the built-in one."""
    profile_name: str = Field(sa_column=Column(Text, nullable=False))
    profile_version: int = Field(sa_column=Column(Integer, nullable=False))
    skipped: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Files of the set that have the bytes of another one, which the profile says to leave out."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
