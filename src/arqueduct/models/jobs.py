"""Jobs and their history, and the order in which they run."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import EMPTY_OBJECT, moment, tenant

__all__ = ["Chore", "FairShare", "Job", "JobAttempt", "JobEvent", "QueueRule", "Worker"]

IS_CHILD = "parent_id IS NOT NULL"
IN_LINE = "state = 'queued' AND dispatched_at IS NULL AND turn IS NOT NULL"


class Job(SQLModel, table=True):
    """One run of a pipeline. The row is its own outbox: committed with its document, dispatched afterwards."""

    __tablename__: ClassVar[str] = "jobs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'completed', 'partially_completed', 'failed', 'cancelled')",
            name="state",
        ),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("(lease_until IS NULL) = (state <> 'running' OR children IS NOT NULL)", name="lease"),
        CheckConstraint(
            "(finished_at IS NULL) = (state IN ('queued', 'running', 'paused'))",
            name="finished",
        ),
        CheckConstraint("priority IN (-10, 0, 10)", name="priority"),
        CheckConstraint("weight > 0", name="weight"),
        CheckConstraint("children IS NULL OR (parent_id IS NULL AND run_after = 'infinity')", name="one_generation"),
        Index("jobs_line_idx", "tenant_id", "kind", "priority", "turn", "id", postgresql_where=text(IN_LINE)),
        Index("jobs_line_user_idx", "tenant_id", "user_id", "priority", "turn", postgresql_where=text(IN_LINE)),
        Index("jobs_not_in_line_idx", "run_after", "id", postgresql_where=text("state = 'queued' AND turn IS NULL")),
        Index(
            "jobs_dispatched_idx",
            "dispatched_at",
            postgresql_where=text("state = 'queued' AND dispatched_at IS NOT NULL"),
        ),
        Index("jobs_paused_idx", "id", postgresql_where=text("state = 'paused'")),
        Index(
            "jobs_quarantined_idx",
            "id",
            postgresql_where=text("state = 'failed' AND error ->> 'code' = 'worker_died'"),
        ),
        Index("jobs_queued_idx", "run_after", postgresql_where=text("state = 'queued'")),
        Index("jobs_running_idx", "lease_until", postgresql_where=text("state = 'running'")),
        Index("jobs_tenant_id_id_idx", "tenant_id", "id"),
        Index("jobs_document_id_idx", "document_id"),
        Index("jobs_parents_idx", "tenant_id", "id", postgresql_where=text("children IS NOT NULL")),
        Index("jobs_children_idx", "parent_id", "id", postgresql_where=text(IS_CHILD)),
        Index("jobs_children_state_idx", "parent_id", "state", "id", postgresql_where=text(IS_CHILD)),
        Index(
            "jobs_children_took_idx",
            "parent_id",
            text("(finished_at - started_at)"),
            postgresql_where=text(f"{IS_CHILD} AND state = 'completed'"),
        ),
        Index(
            "jobs_user_top_idx",
            "user_id",
            "id",
            postgresql_where=text("state IN ('queued', 'running', 'paused') AND parent_id IS NULL"),
        ),
        Index("jobs_user_top_finished_idx", "user_id", "finished_at", postgresql_where=text("parent_id IS NULL")),
        Index(
            "jobs_user_busy_child_idx",
            "user_id",
            "id",
            postgresql_where=text(f"state = 'running' AND {IS_CHILD}"),
        ),
        Index(
            "jobs_tenant_unfinished_idx",
            "tenant_id",
            "user_id",
            postgresql_where=text("state IN ('queued', 'running', 'paused')"),
        ),
        Index(
            "jobs_user_unfinished_idx",
            "user_id",
            "id",
            postgresql_where=text("state IN ('queued', 'running', 'paused')"),
        ),
        Index("jobs_user_finished_idx", "user_id", "finished_at"),
        Index("jobs_finished_idx", "finished_at", "id", postgresql_where=text("finished_at IS NOT NULL")),
        Index(
            "jobs_tenant_finished_idx",
            "tenant_id",
            "finished_at",
            "id",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index("jobs_failed_idx", "tenant_id", "finished_at", "id", postgresql_where=text("state = 'failed'")),
        {"postgresql_with": {"fillfactor": "70"}},
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    parent_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE")))
    children: int | None = Field(default=None, sa_column=Column(Integer))
    """How many it was made with; null for one that is run by workers. See `Parent`."""
    weight: int = Field(default=1000, sa_column=Column(Integer, nullable=False, server_default="1000"))
    """Milliseconds that it was expected to take; its share of its parent's progress."""
    size: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """Bytes of its document."""
    pages: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """What it made …"""
    chunks: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """… and what all its attempts together have paid for it."""
    embedding_requests: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    cache_hits: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Vectors that were there already."""
    document_id: UUID | None = Field(default=None)
    document_name: str | None = Field(default=None, sa_column=Column(Text))
    payload: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    state: str = Field(default="queued", sa_column=Column(Text, nullable=False, server_default="queued"))
    stage: str = Field(default="queued", sa_column=Column(Text, nullable=False, server_default="queued"))
    progress: float = Field(default=0.0, sa_column=Column(REAL, nullable=False, server_default="0"))
    message: str | None = Field(default=None, sa_column=Column(Text))
    details: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    eta_seconds: int | None = Field(default=None, sa_column=Column(Integer))
    eta_range: list[int] | None = Field(default=None, sa_column=Column(ARRAY(Integer)))
    """Least and most seconds left, written with `eta_seconds`; means nothing while the job does not run."""
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    seq: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default="1"))
    fence: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """How many attempts have claimed it; each attempt writes only under its own number."""
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    crashes: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    max_failures: int = Field(default=5, sa_column=Column(Integer, nullable=False, server_default="5"))
    dispatch: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Which wake-up counts; one with another number is stale."""
    dispatched_at: datetime | None = Field(default=None, sa_column=moment())
    """When it was admitted to the run-way in Redis; null while it stands in the line."""
    run_after: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    priority: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    """A value of `lifecycle.Priority`; the lower goes first among the jobs of its tenant."""
    turn: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Its place in the line of its tenant and priority; null while it is not due."""
    lease_owner: str | None = Field(default=None, sa_column=Column(Text))
    lease_until: datetime | None = Field(default=None, sa_column=moment())
    cancel_requested: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    pause_requested: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=moment())
    finished_at: datetime | None = Field(default=None, sa_column=moment())


class JobEvent(SQLModel, table=True):
    """History: each change of state or stage of a job, in the shape of the live message."""

    __tablename__: ClassVar[str] = "job_events"
    __table_args__ = (
        Index(
            "job_events_passing_idx",
            "created_at",
            postgresql_where=text("state IN ('queued', 'running', 'paused')"),
        ),
    )
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, nullable=False))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    type: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(Text, nullable=False))
    stage: str = Field(sa_column=Column(Text, nullable=False))
    progress: float = Field(sa_column=Column(REAL, nullable=False))
    message: str | None = Field(default=None, sa_column=Column(Text))
    details: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )


class JobAttempt(SQLModel, table=True):
    """One attempt at a job: who ran it, and how it ended. What an operator reads to see why a job failed."""

    __tablename__: ClassVar[str] = "job_attempts"
    __table_args__ = (CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),)
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, primary_key=True, nullable=False))
    """The fence under which it wrote."""
    tenant_id: UUID = Field(sa_column=tenant())
    worker: str = Field(sa_column=Column(Text, nullable=False))
    version: str = Field(sa_column=Column(Text, nullable=False))
    """Of the worker."""
    started_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    ended_at: datetime | None = Field(default=None, sa_column=moment())
    outcome: str | None = Field(default=None, sa_column=Column(Text))
    """A value of `lifecycle.Outcome`; null while it runs."""
    stage: str | None = Field(default=None, sa_column=Column(Text))
    """Where it was when it ended."""
    code: str | None = Field(default=None, sa_column=Column(Text))
    message: str | None = Field(default=None, sa_column=Column(Text))
    traceback: str | None = Field(default=None, sa_column=Column(Text))


class QueueRule(SQLModel, table=True):
    """What an administrator says about the queue: of everything, of a tenant (`*`: of each), or of a kind of job.

    Not a tenant's.
    """

    __tablename__: ClassVar[str] = "queue_rules"
    __table_args__ = (
        CheckConstraint("scope IN ('all', 'tenant', 'kind')", name="scope"),
        CheckConstraint("max_running > 0", name="max_running"),
        CheckConstraint("weight > 0", name="weight"),
    )
    scope: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    name: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    is_paused: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    max_running: int | None = Field(default=None, sa_column=Column(Integer))
    """Jobs at a time, those in the run-way included; null: as many as there are."""
    weight: float = Field(default=1.0, sa_column=Column(REAL, nullable=False, server_default="1"))
    """Share of a tenant, relative to the others'."""


class FairShare(SQLModel, table=True):
    """How much of its share a waiting tenant has had; kept by the function `admit`, which no role can bypass."""

    __tablename__: ClassVar[str] = "fair_shares"
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    pass_: float = Field(sa_column=Column("pass", DOUBLE_PRECISION, nullable=False))


class Worker(SQLModel, table=True):
    """A worker process that gave a sign of life. Not a tenant's."""

    __tablename__: ClassVar[str] = "workers"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    version: str = Field(sa_column=Column(Text, nullable=False))
    concurrency: int = Field(sa_column=Column(Integer, nullable=False))
    running: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    started_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    beat_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Chore(SQLModel, table=True):
    """What workers do now and then, one of them at a time. Not a tenant's."""

    __tablename__: ClassVar[str] = "chores"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    begun_at: datetime | None = Field(default=None, sa_column=moment())
    """A sign of life of the worker that is at it; null once it is done."""
    done_at: datetime | None = Field(default=None, sa_column=moment())
