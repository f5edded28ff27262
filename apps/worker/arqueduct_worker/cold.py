"""Copies of originals between hot and cold: made under a new name, and read back before anybody relies on them."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import structlog

from arqueduct import compression
from arqueduct.errors import ContentMismatch, DependencyUnavailable
from arqueduct.ids import new_id
from arqueduct.repositories.originals import Original
from arqueduct.storage import Storage
from arqueduct.storage.layout import blob_key, cold_key

__all__ = ["drop", "freeze", "thaw"]

log = structlog.get_logger()

OnBytes = Callable[[int], None]


async def freeze(storage: Storage, folder: Path, original: Original, on_bytes: OnBytes) -> tuple[UUID, int]:
    """Makes a cold copy of a hot original; returns its name and its size.

    Raises `ContentMismatch` if the hot bytes, or the cold copy read back, are not what was uploaded.
    """
    plain, packed = folder / "hot", folder / "hot.zst"
    hot = blob_key(original.tenant_id, original.id, original.copy)
    if await storage.get_file(hot, plain, on_bytes) != original.sha256:
        raise ContentMismatch
    await asyncio.to_thread(compression.compress, plain, packed)
    copy, size = new_id(), (await asyncio.to_thread(packed.stat)).st_size
    await storage.put_file(cold_key(original.tenant_id, original.id, copy), packed)
    await _unpack(storage, folder, original, copy, lambda _: None)
    return copy, size


async def thaw(storage: Storage, folder: Path, original: Original, on_bytes: OnBytes) -> UUID:
    """Makes a hot copy of a cold original; returns its name. Raises `ContentMismatch` before it stores other bytes."""
    assert original.copy is not None  # noqa: S101  # the schema says so
    plain = await _unpack(storage, folder, original, original.copy, on_bytes)
    copy = new_id()
    await storage.put_file(blob_key(original.tenant_id, original.id, copy), plain)
    return copy


async def drop(storage: Storage, original: Original) -> None:
    """Deletes the file of bytes that a committed row no longer names. What fails is left to the janitor."""
    if original.key is None:
        return
    try:
        await storage.delete([original.key])
    except DependencyUnavailable as error:
        log.warning("file left to the janitor", key=original.key, error=str(error))


async def _unpack(storage: Storage, folder: Path, original: Original, copy: UUID, on_bytes: OnBytes) -> Path:
    packed, plain = folder / "cold.zst", folder / "cold"
    await storage.get_file(cold_key(original.tenant_id, original.id, copy), packed, on_bytes)
    await asyncio.to_thread(compression.decompress, packed, plain, max_bytes=original.size)
    if await asyncio.to_thread(_sha256, plain) != original.sha256:
        raise ContentMismatch
    return plain


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
