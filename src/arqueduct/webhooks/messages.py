"""What receivers are told: which events there are, and the body of a message."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

__all__ = ["EVERY", "EventType", "body"]

EVERY = "*"
"""In the filter of an endpoint: all events, those of later versions too."""


class EventType(StrEnum):
    """What can be told; sql/versions/0005 and 0007 write all of it down but the ping."""

    JOB_COMPLETED = "job.completed"
    JOB_PARTIALLY_COMPLETED = "job.partially_completed"
    """A project or a batch of which some failed."""
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    DOCUMENT_CREATED = "document.created"
    """Taken in; its job is still to come."""
    DOCUMENT_DELETED = "document.deleted"
    PING = "ping"
    """Somebody tries whether messages arrive."""


def body(event_type: str, happened_at: datetime, data: Mapping[str, Any]) -> bytes:
    """The JSON of a message: `type`, `timestamp` (UTC), `data`. The same bytes for every attempt."""
    timestamp = happened_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": event_type, "timestamp": timestamp, "data": data})
