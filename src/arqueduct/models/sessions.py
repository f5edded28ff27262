"""What signed-in people hold, what was done by whom, and answers kept for repeated requests."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, secret_hash, tenant, user, words

__all__ = ["AuditEntry", "KeptAnswer", "RefreshToken", "Session"]

AT_ONCE = text("clock_timestamp()")


class Session(SQLModel, table=True):
    """A person who signed in, on one device."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (ended_why IS NULL)", name="ended"),
        Index("sessions_user_id_idx", "user_id"),
        Index("sessions_expires_at_idx", "expires_at"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=user())
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    renewed_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ended_at: datetime | None = Field(default=None, sa_column=moment())
    ended_why: str | None = Field(default=None, sa_column=words())
    method: str = Field(sa_column=words(nullable=False))
    """`password` or `oidc`."""
    address: str | None = Field(default=None, sa_column=words())
    user_agent: str | None = Field(default=None, sa_column=words())


class RefreshToken(SQLModel, table=True):
    """Renews a session once."""

    __tablename__: ClassVar[str] = "refresh_tokens"
    __table_args__ = (Index("refresh_tokens_session_id_idx", "session_id"),)
    token_hash: bytes = Field(sa_column=secret_hash(primary_key=True))
    session_id: UUID = Field(sa_column=Column(ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=moment())


class AuditEntry(SQLModel, table=True):
    """One line of the audit log. No foreign keys: it outlives what it names."""

    __tablename__: ClassVar[str] = "audit_log"
    __table_args__ = (
        CheckConstraint("outcome IN ('done', 'denied', 'failed')", name="outcome"),
        Index("audit_log_tenant_id_id_idx", "tenant_id", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID | None = None
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=AT_ONCE)
    )
    action: str = Field(sa_column=words(nullable=False))
    """The operation of the API, or the command."""
    outcome: str = Field(sa_column=words(nullable=False))
    code: str | None = Field(default=None, sa_column=words())
    """Of the problem, if it was not done."""
    user_id: UUID | None = None
    key_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = Field(default=None, sa_column=words())
    address: str | None = Field(default=None, sa_column=words())
    user_agent: str | None = Field(default=None, sa_column=words())
    request_id: str | None = Field(default=None, sa_column=words())
    target: str | None = Field(default=None, sa_column=words())
    """The path, which names what is meant."""
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class KeptAnswer(SQLModel, table=True):
    """What was answered to a request with an idempotency key; without `status` while it is under way."""

    __tablename__: ClassVar[str] = "kept_answers"
    __table_args__ = (Index("kept_answers_created_at_idx", "created_at"),)
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    user_id: UUID = Field(
        sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    key: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=AT_ONCE)
    )
    claimed_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=AT_ONCE)
    )
    claim: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Counts who took it on: whoever took too long does not write over its successor's answer."""
    status: int | None = Field(default=None, sa_column=Column(Integer))
    headers: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
