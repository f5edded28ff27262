"""Webhooks: what is said and answered about endpoints, and about what was told to them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import asyncpg
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from arqueduct.naming import Label
from arqueduct.webhooks.messages import EventType
from arqueduct_backend.people import Asked
from arqueduct_backend.schemas import Answer

__all__ = [
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetails",
    "DeliveryState",
    "Webhook",
    "WebhookAsked",
    "WebhookChange",
    "WebhookMade",
]

DeliveryState = Literal["pending", "delivered", "failed", "cancelled"]


def _once_each(given: list[EventType | Literal["*"]]) -> list[EventType | Literal["*"]]:
    return sorted(set(given))


Wanted = Annotated[
    list[EventType | Literal["*"]],
    Field(min_length=1, max_length=len(EventType) + 1, examples=[["job.completed", "job.failed"]]),
    AfterValidator(_once_each),
]
Url = Annotated[str, Field(min_length=1, max_length=2048, examples=["https://example.org/hooks/arqueduct"])]


class WebhookAsked(Asked):
    """A receiver that is to be told."""

    url: Url
    """https, a public host, port 443, 80 or above 1023; no credentials, no fragment."""
    events: Wanted = Field(default=["*"])
    """`*` is every event, those of later versions too."""
    description: Label | None = None
    is_enabled: bool = True


class WebhookChange(Asked):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    url: Url = ""
    events: Wanted = Field(default=[])
    description: Label | None = None
    is_enabled: bool = True
    """Who enables it again, or gives it another address, says that it is well."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_named", "Name at least one field.")
        return self


class Webhook(Answer):
    """An endpoint of the tenant's."""

    id: UUID
    url: str
    events: list[str] = Field(examples=[["job.completed", "job.failed"]])
    description: str | None
    is_enabled: bool
    disabled_why: str | None
    """Null: it is enabled, or somebody disabled it."""
    failing_since: datetime | None
    """Null: the last message got through, or none was sent yet."""
    resting_until: datetime | None
    """It failed several times in a row, and is left alone until then."""
    previous_secret_until: datetime | None
    """Until then the secret before the last rotation signs too."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Webhook":
        return cls.model_validate({**row, "previous_secret_until": row["previous_until"]})


class WebhookMade(Answer):
    """An endpoint, and the secret that signs what is sent to it."""

    webhook: Webhook
    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])
    """Shown here and never again."""


class Delivery(Answer):
    """One event for one endpoint."""

    id: UUID
    event_id: UUID
    """The `webhook-id` of the message: the same for each attempt and each redelivery."""
    type: str = Field(examples=["job.completed"])
    state: DeliveryState
    """`failed`: given up; it can be redelivered."""
    attempts: int
    """How often it was sent, or was to be."""
    last_status: int | None
    """What the receiver answered last; null: nothing, and `last_error` says why."""
    last_error: str | None
    job_id: UUID
    """The job that delivers it, of the kind `webhook.deliver`."""
    created_at: datetime
    """When it happened."""
    ended_at: datetime | None
    next_attempt_at: datetime | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Delivery":
        return cls.model_validate({**row, "created_at": row["happened_at"]})


class DeliveryAttempt(Answer):
    """One attempt to send a message."""

    number: int
    started_at: datetime
    took_ms: int
    status: int | None
    error: str | None
    answer: str | None
    """How the receiver's answer began: its first 1,000 bytes, as text."""


class DeliveryDetails(Answer):
    """A delivery with all that is known of it."""

    delivery: Delivery
    data: dict[str, Any] = Field(examples=[{"job_id": "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11", "state": "completed"}])
    """That of the message."""
    attempts: list[DeliveryAttempt]
    """The oldest first."""

    @classmethod
    def known(cls, row: asyncpg.Record, attempts: list[asyncpg.Record]) -> "DeliveryDetails":
        return cls(
            delivery=Delivery.of(row),
            data=row["data"],
            attempts=[DeliveryAttempt.model_validate(dict(attempt)) for attempt in attempts],
        )
