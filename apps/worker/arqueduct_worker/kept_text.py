"""The text of a blob, kept in storage beside it, so that a retry or a second document does not extract it again.

The file is one JSON line of facts, then a line a page, compressed. Losing it costs time and nothing else, except
for the text that a stored document names in `text_recipe`: that is what `GET /documents/{id}/text` returns.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from arqueduct import compression
from arqueduct.pipeline import StageContext
from arqueduct.storage.layout import text_key

__all__ = ["fetch", "keep"]


def _key(context: StageContext) -> str:
    subject = context.subject
    return text_key(subject.tenant_id, subject.blob_id, context.text_recipe)


async def fetch(context: StageContext) -> None:
    """Puts the kept text of the present recipe into the work folder. Raises `NotFound` if none is kept."""
    packed, whole = context.folder / "text.zst", context.folder / "text"
    await context.storage.get_file(_key(context), packed)
    await compression.decompress(packed, whole)
    context.facts.update(await asyncio.to_thread(_split, whole, context.pages_path))


async def keep(context: StageContext) -> None:
    """Keeps the pages as they are now under the present recipe."""
    packed, whole = context.folder / "text.zst", context.folder / "text"
    await asyncio.to_thread(_join, context.facts, context.pages_path, whole)
    await compression.compress(whole, packed)
    await context.storage.put_file(_key(context), packed)


def _join(facts: dict[str, Any], pages: Path, whole: Path) -> None:
    with whole.open("wb") as out, pages.open("rb") as lines:
        out.write(msgspec.json.encode(facts) + b"\n")
        out.writelines(lines)


def _split(whole: Path, pages: Path) -> dict[str, Any]:
    with whole.open("rb") as lines, pages.open("wb") as out:
        facts = msgspec.json.decode(next(lines), type=dict[str, Any])
        out.writelines(lines)
    return facts
