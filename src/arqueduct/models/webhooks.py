"""Where tenants want to be told what happens, what is told to them, and what came back."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, tenant, words

__all__ = ["WebhookAttempt", "WebhookDelivery", "WebhookEndpoint"]


class WebhookEndpoint(SQLModel, table=True):
    """A receiver of a tenant's, and the events it wants."""

    __tablename__: ClassVar[str] = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("(previous_secret IS NULL) = (previous_until IS NULL)", name="previous"),
        Index("webhook_endpoints_tenant_id_id_idx", "tenant_id", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    url: str = Field(sa_column=words(nullable=False))
    description: str | None = Field(default=None, sa_column=words())
    events: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Names of `webhooks.messages.EventType`, or `*`."""
    is_enabled: bool = Field(default=True, sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    disabled_why: str | None = Field(default=None, sa_column=words())
    """Why it was disabled by itself."""
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Sealed, as the next one."""
    previous_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Signs too, until `previous_until`."""
    previous_until: datetime | None = Field(default=None, sa_column=moment())
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Its last ones, in a row."""
    failing_since: datetime | None = Field(default=None, sa_column=moment())
    resting_until: datetime | None = Field(default=None, sa_column=moment())
    """Nothing is sent to a receiver that fails before this moment; then one delivery tries."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint. Its state follows that of its job."""

    __tablename__: ClassVar[str] = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id", name="webhook_deliveries_endpoint_id_event_id_key"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed', 'cancelled')", name="state"),
        CheckConstraint("(ended_at IS NULL) = (state = 'pending')", name="ended"),
        Index("webhook_deliveries_endpoint_id_id_idx", "endpoint_id", "id"),
        Index("webhook_deliveries_pending_idx", "endpoint_id", postgresql_where=text("state = 'pending'")),
        Index("webhook_deliveries_job_id_idx", "job_id"),
        Index("webhook_deliveries_ended_at_idx", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    endpoint_id: UUID = Field(sa_column=Column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False))
    event_id: UUID
    """The `webhook-id` of the message: the same for all endpoints and all attempts."""
    type: str = Field(sa_column=words(nullable=False))
    happened_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    )
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    job_id: UUID
    """The newest that delivers it; no foreign key, because old jobs go first."""
    state: str = Field(default="pending", sa_column=Column(Text, nullable=False, server_default="pending"))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    last_status: int | None = Field(default=None, sa_column=Column(Integer))
    last_error: str | None = Field(default=None, sa_column=words())
    ended_at: datetime | None = Field(default=None, sa_column=moment())


class WebhookAttempt(SQLModel, table=True):
    """One attempt to send, and what came back."""

    __tablename__: ClassVar[str] = "webhook_attempts"
    delivery_id: UUID = Field(
        sa_column=Column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    number: int = Field(sa_column=Column(Integer, primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    job_id: UUID
    started_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    took_ms: int = Field(sa_column=Column(Integer, nullable=False))
    status: int | None = Field(default=None, sa_column=Column(Integer))
    """None: there was no answer, and `error` says why."""
    error: str | None = Field(default=None, sa_column=words())
    answer: str | None = Field(default=None, sa_column=words())
    """How its body began."""
