"""The tables. Revisions under sql/ make them; a test keeps both equal.

Every table of a tenant's carries `tenant_id` and row-level security (sql/versions); what is not a tenant's own
says so. Ids are UUIDv7. Times are Postgres' `now()`: clocks of workers never matter.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    ARRAY,
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG, TSVECTOR
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id

__all__ = [
    "APIKey",
    "Blob",
    "Chore",
    "Chunk",
    "Deletion",
    "Document",
    "Embedding",
    "EmbeddingModelRow",
    "FairShare",
    "Job",
    "JobAttempt",
    "JobEvent",
    "Membership",
    "QueueRule",
    "Tenant",
    "User",
    "Worker",
]

NOW = text("now()")
EMPTY_OBJECT = text("'{}'::jsonb")
IN_LINE = "state = 'queued' AND dispatched_at IS NULL AND turn IS NOT NULL"


def moment(*, nullable: bool = True) -> Column[Any]:
    """A time with zone; one that may not be null defaults to the moment of the insert."""
    return Column(DateTime(timezone=True), nullable=nullable, server_default=None if nullable else NOW)


def tenant() -> Column[Any]:
    return Column(ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


class Tenant(SQLModel, table=True):
    """Owns everything below."""

    __tablename__: ClassVar[str] = "tenants"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class User(SQLModel, table=True):
    """A person or a service; belongs to tenants through memberships."""

    __tablename__: ClassVar[str] = "users"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Membership(SQLModel, table=True):
    """What a user may do in a tenant."""

    __tablename__: ClassVar[str] = "memberships"
    __table_args__ = (CheckConstraint("role IN ('owner', 'admin', 'editor', 'viewer', 'service')", name="role"),)
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    user_id: UUID = Field(
        sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    role: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class APIKey(SQLModel, table=True):
    """A secret that stands for a user in a tenant; only its SHA-256 is kept."""

    __tablename__: ClassVar[str] = "api_keys"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    prefix: str = Field(sa_column=Column(Text, nullable=False))
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    scopes: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment())
    last_used_at: datetime | None = Field(default=None, sa_column=moment())


class Blob(SQLModel, table=True):
    """Bytes, kept once a tenant however many documents have them. Its id, not its hash, names it in storage."""

    __tablename__: ClassVar[str] = "blobs"
    __table_args__ = (UniqueConstraint("tenant_id", "sha256", name="blobs_tenant_id_sha256_key"),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    sha256: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Document(SQLModel, table=True):
    """A named blob. Its status is the state of the job `job_id`, so the two cannot disagree."""

    __tablename__: ClassVar[str] = "documents"
    __table_args__ = (
        Index("documents_tenant_id_id_idx", "tenant_id", "id"),
        Index("documents_blob_id_idx", "blob_id"),
        Index("documents_job_id_idx", "job_id"),
        Index("documents_deleted_idx", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    blob_id: UUID = Field(sa_column=Column(ForeignKey("blobs.id"), nullable=False))
    job_id: UUID = Field(nullable=False)
    name: str = Field(sa_column=Column(Text, nullable=False))
    content_type: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=Column(Text, nullable=False))
    title: str | None = Field(default=None, sa_column=Column(Text))
    language: str = Field(sa_column=Column(Text, nullable=False))
    facts: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column("metadata", JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    pages: int | None = Field(default=None, sa_column=Column(Integer))
    characters: int | None = Field(default=None, sa_column=Column(BigInteger))
    chunks: int | None = Field(default=None, sa_column=Column(Integer))
    text_recipe: str | None = Field(default=None, sa_column=Column(Text))
    """Which of the texts kept beside the blob is this document's; null until it is stored."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    deleted_at: datetime | None = Field(default=None, sa_column=moment())
    """Set the moment a user deletes it: gone for every reader, while its parts are being removed."""


class Chunk(SQLModel, table=True):
    """A passage of a document. Its vectors are in `embeddings` under `text_hash`."""

    __tablename__: ClassVar[str] = "chunks"
    __table_args__ = (
        UniqueConstraint("document_id", "ordinal", name="chunks_document_id_ordinal_key"),
        Index("chunks_tenant_id_text_hash_idx", "tenant_id", "text_hash"),
        Index("chunks_tsv_idx", "tsv", postgresql_using="gin"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    document_id: UUID = Field(sa_column=Column(ForeignKey("documents.id", ondelete="CASCADE"), nullable=False))
    ordinal: int = Field(sa_column=Column(Integer, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    text_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    first_page: int = Field(sa_column=Column(Integer, nullable=False))
    last_page: int = Field(sa_column=Column(Integer, nullable=False))
    start: int = Field(sa_column=Column("start_offset", BigInteger, nullable=False))
    end: int = Field(sa_column=Column("end_offset", BigInteger, nullable=False))
    tokens: int = Field(sa_column=Column(Integer, nullable=False))
    heading: str | None = Field(default=None, sa_column=Column(Text))
    language: str = Field(sa_column=Column(REGCONFIG, nullable=False))
    tsv: str | None = Field(
        default=None, sa_column=Column(TSVECTOR, Computed("to_tsvector(language, text)", persisted=True))
    )


class EmbeddingModelRow(SQLModel, table=True):
    """A model whose vectors are stored; each has an HNSW index of its own. Not a tenant's."""

    __tablename__: ClassVar[str] = "embedding_models"
    id: int | None = Field(default=None, sa_column=Column(SmallInteger, Identity(always=True), primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    dimensions: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Embedding(SQLModel, table=True):
    """The vector of a text under a model: bought once a tenant, whichever chunks have that text."""

    __tablename__: ClassVar[str] = "embeddings"
    __table_args__ = (Index("embeddings_bought_for_idx", "bought_for"),)
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    model_id: int = Field(
        sa_column=Column(SmallInteger, ForeignKey("embedding_models.id"), primary_key=True, nullable=False)
    )
    text_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True, nullable=False))
    vector: Any = Field(sa_column=Column(HALFVEC(), nullable=False))
    bought_for: UUID = Field(nullable=False)
    """The document that first needed it: its deletion removes the vector unless another has the text too."""


class Job(SQLModel, table=True):
    """One run of a pipeline. The row is its own outbox: committed with its document, dispatched afterwards."""

    __tablename__: ClassVar[str] = "jobs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'completed', 'partially_completed', 'failed', 'cancelled')",
            name="state",
        ),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
        CheckConstraint("(lease_until IS NULL) = (state <> 'running')", name="lease"),
        CheckConstraint(
            "(finished_at IS NULL) = (state IN ('queued', 'running', 'paused'))",
            name="finished",
        ),
        CheckConstraint("priority IN (-10, 0, 10)", name="priority"),
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
        Index("jobs_parent_id_idx", "parent_id"),
        Index(
            "jobs_user_unfinished_idx",
            "user_id",
            "id",
            postgresql_where=text("state IN ('queued', 'running', 'paused')"),
        ),
        Index("jobs_user_finished_idx", "user_id", "finished_at"),
        Index("jobs_finished_idx", "finished_at", "id", postgresql_where=text("finished_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "70"}},
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    parent_id: UUID | None = Field(default=None, sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE")))
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


class Deletion(SQLModel, table=True):
    """What a deleted document may have left outside its rows; looked at once more after every zombie is fenced."""

    __tablename__: ClassVar[str] = "deletions"
    document_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    prefix: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
