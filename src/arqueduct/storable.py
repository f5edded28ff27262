"""What Postgres takes: text without U+0000 and without half characters, whoever wrote it."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["json", "text"]


def text(value: str) -> str:
    """The text without U+0000; lone surrogates become question marks."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def json(value: Mapping[str, Any]) -> str:
    """The object as JSON text, for a jsonb parameter."""
    return msgspec.json.encode(_clean(value)).decode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(name)): _clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value
