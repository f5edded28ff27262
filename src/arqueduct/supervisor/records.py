"""The two small files that tell other programs about an installation; both hold secrets, so only their owner reads."""

import os
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from arqueduct.errors import SetupError

__all__ = ["Credentials", "Runtime", "read", "write"]

Record = TypeVar("Record", bound=msgspec.Struct)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """credentials.json: how to use what runs here, as the first user."""

    url: str
    api_key: str
    user_id: UUID
    tenant_id: UUID
    email: str
    password: str


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """runtime.json: what runs now. Rewritten at each change, removed at a clean stop."""

    url: str
    database_url: str
    """As the owner of the tables."""
    redis_url: str
    pids: dict[str, list[int]]
    """By role: up, postgres, valkey, api, worker. A server that was given has none."""
    metrics_urls: list[str]
    version: str
    started_at: datetime


def read(path: Path, kind: type[Record]) -> Record | None:
    """`None` if there is no such file. Raises `SetupError` for one that cannot be read or understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SetupError(
            f"{path} cannot be used: {error}.", advice="Remove it, and `arqueduct up` writes a new one."
        ) from error


def write(path: Path, record: msgspec.Struct) -> None:
    """Whole or not at all, and readable for its owner only from the first byte on."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as content:
        content.write(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
        content.flush()
        os.fsync(content.fileno())
    unfinished.replace(path)
