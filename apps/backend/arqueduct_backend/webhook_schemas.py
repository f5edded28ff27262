"""What webhooks send, for the description of the API. sql/versions/0005 puts the messages together."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from arqueduct.webhooks.messages import EventType
from arqueduct_backend.schemas import Answer

__all__ = ["MESSAGES", "webhooks"]


class ToldError(Answer):
    """Why a job failed. Its message is read at the job."""

    code: str = Field(examples=["document_corrupt"])
    stage: str | None
    retryable: bool | None


class ToldJob(Answer):
    """A job that ended. Ids and codes: what a document says or is called never leaves this way."""

    job_id: UUID
    kind: str = Field(examples=["document.ingest"])
    state: Literal["completed", "partially_completed", "failed", "cancelled"]
    document_id: UUID | None
    attempt: int
    error: ToldError | None


class ToldDocument(Answer):
    """A document that came or went."""

    document_id: UUID
    job_id: UUID | None
    """Null where no job has processed it: it was uploaded into a file set."""
    content_type: str = Field(examples=["application/pdf"])
    size: int


class JobMessage(Answer):
    """The body of `job.…`."""

    type: Literal["job.completed", "job.partially_completed", "job.failed", "job.cancelled"]
    timestamp: datetime
    data: ToldJob


class DocumentMessage(Answer):
    """The body of `document.…`."""

    type: Literal["document.created", "document.deleted"]
    timestamp: datetime
    data: ToldDocument


class PingMessage(Answer):
    """The body of `ping`."""

    type: Literal["ping"]
    timestamp: datetime
    data: dict[str, Any]


MESSAGES: dict[EventType, tuple[type[BaseModel], str]] = {
    EventType.JOB_COMPLETED: (JobMessage, "A job is done."),
    EventType.JOB_PARTIALLY_COMPLETED: (JobMessage, "A project or a batch has ended, and some of it failed."),
    EventType.JOB_FAILED: (JobMessage, "A job ended with an error and is not tried again by itself."),
    EventType.JOB_CANCELLED: (JobMessage, "A job was cancelled."),
    EventType.DOCUMENT_CREATED: (DocumentMessage, "A document was taken in; it is still to be processed."),
    EventType.DOCUMENT_DELETED: (DocumentMessage, "A document was deleted."),
    EventType.PING: (PingMessage, "Somebody tries whether messages arrive."),
}

SIGNATURE = "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; two of them while a secret is replaced."
HEADERS = {
    "webhook-id": "The same for every attempt: what was seen already may be dropped.",
    "webhook-timestamp": "Seconds since 1970; refuse what is older than some minutes.",
    "webhook-signature": SIGNATURE,
    "X-Signature": "The same as `webhook-signature`.",
}
ANSWERS = {
    "2XX": {"description": "It arrived."},
    "410": {"description": "Send no more: the endpoint is disabled."},
    "default": {"description": "It did not arrive: it is sent again, for a day."},
}


def webhooks(schemas: dict[str, Any]) -> dict[str, Any]:
    """The section `webhooks` of a description; what it refers to is added to `schemas`."""
    for model in dict.fromkeys(model for model, _ in MESSAGES.values()):  # a set has another order each time
        found = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= found.pop("$defs", {})
        schemas[model.__name__] = found
    return {event: {"post": _operation(event, model, text)} for event, (model, text) in MESSAGES.items()}


def _operation(event: EventType, model: type[BaseModel], text: str) -> dict[str, Any]:
    return {
        "operationId": f"on_{event.replace('.', '_')}",
        "tags": ["webhooks"],
        "summary": text,
        "description": "Sent to every endpoint that wants it, as Standard Webhooks has it.",
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
            for name, about in HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        },
        "responses": ANSWERS,
    }
