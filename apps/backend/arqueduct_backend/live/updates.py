"""What travels to clients: job states as they were published, and the few messages the server itself has to say."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from arqueduct import __version__, events
from arqueduct.events import VERSION, JobMessage
from arqueduct.ids import new_id
from arqueduct_backend.protocols import framed

__all__ = ["Notice", "Outgoing", "Update", "error", "hello", "notice", "of_message", "parse", "pong"]

ENDS = frozenset({"job_completed", "job_failed", "job_cancelled"})


class _Head(msgspec.Struct):
    """The fields of a job message that decide its way; the rest is passed on unread."""

    id: str
    type: str
    tenant_id: str
    job_id: str
    stage: str
    seq: int


_heads = msgspec.json.Decoder(_Head)


class Update(msgspec.Struct, frozen=True):
    """A job's state at one moment, encoded and framed once for all clients.

    The job's id is text: it is looked up once a client, and a `UUID` computes its hash anew each time.
    """

    job_id: str
    seq: int
    type: str
    stage: str
    tenant_id: str
    id: str
    text: str
    frame: bytes
    """The text as a whole WebSocket frame."""

    @property
    def is_end(self) -> bool:
        return self.type in ENDS

    def replaces(self, older: "Update") -> bool:
        """Whether nobody misses `older`, the state before this one: not a stage's last word, and no end."""
        return self.stage == older.stage and self.type == older.type and not older.is_end


def parse(data: bytes) -> Update:
    """Raises `msgspec.DecodeError` or `UnicodeDecodeError` on anything but a job message."""
    head = _heads.decode(data)
    return Update(head.job_id, head.seq, head.type, head.stage, head.tenant_id, head.id, data.decode(), framed(data))


def of_message(message: JobMessage) -> Update:
    data = events.encode(message)
    return Update(
        str(message.job_id),
        message.seq,
        message.type,
        message.stage,
        str(message.tenant_id),
        message.id,
        data.decode(),
        framed(data),
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of the server's own."""

    type: str
    id: str
    text: str


Outgoing: TypeAlias = Update | Notice


def notice(kind: str, **fields: Any) -> Notice:
    name = str(new_id())
    body = {"v": VERSION, "id": name, "type": kind, **fields}
    return Notice(kind, name, events.encode(body).decode())


def hello(user_id: UUID, heartbeat_seconds: float, connection_id: str) -> Notice:
    return notice(
        "hello",
        connection_id=connection_id,
        user_id=user_id,
        heartbeat_seconds=heartbeat_seconds,
        server_time=datetime.now(UTC),
        version=__version__,
    )


def pong() -> Notice:
    return notice("pong", timestamp=datetime.now(UTC))


def error(code: str, message: str) -> Notice:
    return notice("error", code=code, message=message, timestamp=datetime.now(UTC))
