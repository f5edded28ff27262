"""The text of a blob, kept in storage beside it, so that a retry or a second document does not extract it again.

Losing it costs time and nothing else, except for the text that a stored document names in `text_recipe`: that is
what `GET /documents/{id}/text` returns. The format is that of `arqueduct.kept_text`.
"""

import asyncio
from pathlib import Path
from typing import Any

from arqueduct import compression, kept_text
from arqueduct.pipeline import StageContext
from arqueduct.storage.layout import text_key

__all__ = ["fetch", "keep"]

MOST_BYTES_A_CHAR = 8
"""Six for an escaped character in JSON, and some for the lines' own fields."""


def _key(context: StageContext) -> str:
    subject = context.subject
    return text_key(subject.tenant_id, subject.blob_id, context.text_recipe)


async def fetch(context: StageContext) -> None:
    """Puts the kept text of the present recipe into the work folder. Raises `NotFound` if none is kept."""
    packed, whole = context.folder / "text.zst", context.folder / "text"
    await context.storage.get_file(_key(context), packed)
    most = MOST_BYTES_A_CHAR * context.settings.max_text_chars
    context.facts.update(await asyncio.to_thread(_unpack, packed, whole, context.pages_path, most))
    context.kept_recipe = context.text_recipe


async def keep(context: StageContext) -> None:
    """Keeps the pages as they are now under the present recipe."""
    packed, whole = context.folder / "text.zst", context.folder / "text"
    await asyncio.to_thread(_pack, context.facts, context.pages_path, whole, packed)
    await context.storage.put_file(_key(context), packed)
    context.kept_recipe = context.text_recipe


def _unpack(packed: Path, whole: Path, pages: Path, most: int) -> dict[str, Any]:
    compression.decompress(packed, whole, max_bytes=most)
    return kept_text.split(whole, pages)


def _pack(facts: dict[str, Any], pages: Path, whole: Path, packed: Path) -> None:
    kept_text.join(facts, pages, whole)
    compression.compress(whole, packed)
