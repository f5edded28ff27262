"""What is known of a parent's children without looking at them."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

from arqueduct.models.columns import moment, tenant

__all__ = ["ChildDelta", "ChildError", "Parent"]


def _count() -> Column[Any]:
    return Column(Integer, nullable=False, server_default="0")


def _sum() -> Column[Any]:
    return Column(BigInteger, nullable=False, server_default="0")


def _change(kind: Any = Integer) -> Column[Any]:
    return Column(kind, nullable=False)


class Parent(SQLModel, table=True):
    """The counters of a job that has children, as far as they were folded. The view `parents_now` adds the rest."""

    __tablename__: ClassVar[str] = "parents"
    __table_args__ = (
        CheckConstraint("on_error IN ('continue', 'stop_on_error')", name="on_error"),
        CheckConstraint("threshold BETWEEN 0 AND 1", name="threshold"),
        CheckConstraint("asked IN ('cancel', 'pause', 'resume', 'stop')", name="asked"),
        Index("parents_asked_idx", "job_id", postgresql_where=text("asked IS NOT NULL")),
    )
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    on_error: str = Field(default="continue", sa_column=Column(Text, nullable=False, server_default="continue"))
    """A value of `families.OnError`."""
    threshold: float = Field(default=1.0, sa_column=Column(REAL, nullable=False, server_default="1"))
    """Share of the children that may fail."""
    asked: str | None = Field(default=None, sa_column=Column(Text))
    """What somebody wants of all children (`families.Asked`); workers see to those that it was not done to yet."""
    forgiven: int = Field(default=0, sa_column=_count())
    """Children that had failed when somebody retried others: they stop nothing."""
    total: int = Field(default=0, sa_column=_count())
    queued: int = Field(default=0, sa_column=_count())
    running: int = Field(default=0, sa_column=_count())
    paused: int = Field(default=0, sa_column=_count())
    completed: int = Field(default=0, sa_column=_count())
    failed: int = Field(default=0, sa_column=_count())
    cancelled: int = Field(default=0, sa_column=_count())
    weight: int = Field(default=0, sa_column=_sum())
    """Milliseconds that all children are expected to take."""
    work: int = Field(default=0, sa_column=_sum())
    """Of `weight` times 10,000, what is done."""
    size: int = Field(default=0, sa_column=_sum())
    """Bytes of the children's documents."""
    size_done: int = Field(default=0, sa_column=_sum())
    pages: int = Field(default=0, sa_column=_sum())
    chunks: int = Field(default=0, sa_column=_sum())
    tokens: int = Field(default=0, sa_column=_sum())
    embedding_requests: int = Field(default=0, sa_column=_sum())
    cache_hits: int = Field(default=0, sa_column=_sum())
    fast_rate: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION))
    """Milliseconds of expected work done a second, of late …"""
    slow_rate: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION))
    """… and over a longer time."""
    rated_at: datetime | None = Field(default=None, sa_column=moment())
    rated_work: int = Field(default=0, sa_column=_sum())
    active_seconds: float = Field(default=0.0, sa_column=Column(DOUBLE_PRECISION, nullable=False, server_default="0"))
    """For which it ran, up to `rated_at`."""
    folded_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )


class ChildDelta(SQLModel, table=True):
    """By how much a change of children changed their parent's counters; there until it is folded."""

    __tablename__: ClassVar[str] = "child_deltas"
    __table_args__ = (Index("child_deltas_parent_id_idx", "parent_id"),)
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    parent_id: UUID = Field(nullable=False)
    tenant_id: UUID = Field(sa_column=tenant())
    total: int = Field(default=0, sa_column=_count())
    queued: int = Field(sa_column=_change())
    running: int = Field(sa_column=_change())
    paused: int = Field(sa_column=_change())
    completed: int = Field(sa_column=_change())
    failed: int = Field(sa_column=_change())
    cancelled: int = Field(sa_column=_change())
    weight: int = Field(default=0, sa_column=_sum())
    work: int = Field(sa_column=_change(BigInteger))
    size: int = Field(default=0, sa_column=_sum())
    size_done: int = Field(sa_column=_change(BigInteger))
    pages: int = Field(sa_column=_change())
    chunks: int = Field(sa_column=_change())
    tokens: int = Field(sa_column=_change(BigInteger))
    embedding_requests: int = Field(sa_column=_change())
    cache_hits: int = Field(sa_column=_change())
    code_in: str | None = Field(default=None, sa_column=Column(Text))
    """Of the error of a child that failed …"""
    code_out: str | None = Field(default=None, sa_column=Column(Text))
    """… or of one that is failed no longer."""


class ChildError(SQLModel, table=True):
    """How many children of a parent are failed with a code, as far as it was folded."""

    __tablename__: ClassVar[str] = "child_errors"
    parent_id: UUID = Field(
        sa_column=Column(ForeignKey("parents.job_id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    code: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    jobs: int = Field(sa_column=_change())
