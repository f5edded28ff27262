"""JSON of clients that is kept as it comes: how large and how deep it may be."""

import json
from typing import Any

from pydantic_core import PydanticCustomError

from arqueduct import storable

__all__ = ["DEPTH", "MOST_BYTES", "small"]

MOST_BYTES = 16_384
DEPTH = 8
"""Levels of objects and lists, the outer one counted."""


def small(value: dict[str, Any]) -> dict[str, Any]:
    """The object as Postgres takes it: without U+0000, and null for numbers that are none.

    Raises `PydanticCustomError` if it is too deep or too large.
    """
    if _is_deeper(value, DEPTH):
        raise PydanticCustomError("too_deep", f"At most {DEPTH} levels may lie in each other.")
    kept = storable.json(value)
    if len(kept.encode()) > MOST_BYTES:
        raise PydanticCustomError("too_large", f"It is too long; at most {MOST_BYTES:,} bytes of JSON are kept.")
    found: dict[str, Any] = json.loads(kept)
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)
