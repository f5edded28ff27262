"""What leaves a tenant by itself, and what runs of that did."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from arqueduct.models.columns import EMPTY_OBJECT, moment, tenant

__all__ = ["RetentionPolicy", "UpkeepRun"]


def _words() -> Column[list[str]]:
    return Column(ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))


class RetentionPolicy(SQLModel, table=True):
    """How long a tenant keeps things of one sort."""

    __tablename__: ClassVar[str] = "retention_policies"
    __table_args__ = (
        CheckConstraint("target IN ('documents', 'originals', 'texts', 'jobs')", name="target"),
        CheckConstraint("days BETWEEN 1 AND 36500", name="days"),
    )
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    target: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    days: int = Field(sa_column=Column(Integer, nullable=False))
    states: list[str] = Field(default_factory=list, sa_column=_words())
    """Only of these states of the job; empty: whatever it is, if it is finished."""
    content_types: list[str] = Field(default_factory=list, sa_column=_words())
    """Only documents of these types; empty: of all."""
    is_enabled: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    updated_by: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class UpkeepRun(SQLModel, table=True):
    """A job of the kind `retention.apply` or `storage.optimise`, under its id, and its report so far."""

    __tablename__: ClassVar[str] = "upkeep_runs"
    __table_args__ = (Index("upkeep_runs_tenant_id_kind_created_at_idx", "tenant_id", "kind", "created_at"),)
    id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    kind: str = Field(sa_column=Column(Text, nullable=False))
    is_dry: bool = Field(sa_column=Column(Boolean, nullable=False))
    report: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
