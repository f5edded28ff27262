"""Bytes of uploads go to the storage before their rows do. What no row names in the end is removed again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

import structlog

from arqueduct.database import Transaction
from arqueduct.errors import ArqueductError
from arqueduct.ids import new_id
from arqueduct.models import Blob
from arqueduct.repositories import documents
from arqueduct.storage.layout import blob_key, blob_prefix
from arqueduct_backend.state import State
from arqueduct_backend.uploads import Upload

__all__ = ["Keeping", "keeping"]

log = structlog.get_logger()

AT_ONCE = 8
"""Small files on their way to the storage: enough to hide the latency of S3, and few enough for one disk."""
LARGE = 4 * 2**20
"""Bytes from which a file is sent in parts, several at a time, and so goes alone: eight of them took 280 MB."""

Thing = TypeVar("Thing")


class Keeping:
    """Bytes that lie in the storage under blobs that have no rows yet."""

    def __init__(self, blobs: Iterable[Blob]) -> None:
        self._blobs = {blob.sha256: blob for blob in blobs}
        self._kept: set[UUID] = set()

    async def keep(self, transaction: Transaction, uploads: Sequence[Upload]) -> dict[str, Blob]:
        """Writes rows for the bytes of these; returns by hash the blobs to name, new ones or those the tenant had."""
        found = await documents.add_blobs(transaction, [self._blobs[upload.sha256] for upload in uploads])
        self._kept |= {blob.id for blob in found.values()}
        return found

    @property
    def put(self) -> list[Blob]:
        return list(self._blobs.values())

    @property
    def left(self) -> list[Blob]:
        """Those that `keep` found no use for."""
        return [blob for blob in self._blobs.values() if blob.id not in self._kept]


@asynccontextmanager
async def keeping(services: State, tenant_id: UUID, uploads: Sequence[Upload]) -> AsyncIterator[Keeping]:
    """Puts the bytes into the storage, the same ones once. The block commits rows for those that it keeps; the others
    are gone afterwards, and all of them if it fails.

    Raises `DependencyUnavailable`.
    """
    distinct = {upload.sha256: upload for upload in uploads}
    found = Keeping(
        Blob(id=new_id(), tenant_id=tenant_id, sha256=sha256, size=upload.size) for sha256, upload in distinct.items()
    )

    async def put(blob: Blob) -> None:
        await services.storage.put_file(blob_key(tenant_id, blob.id), distinct[blob.sha256].path)

    try:
        await _each([blob for blob in found.put if blob.size < LARGE], put)
        for blob in found.put:
            if blob.size >= LARGE:
                await put(blob)
        yield found
    except BaseException:
        await _discard(services, tenant_id, found.put)
        raise
    await _discard(services, tenant_id, found.left)


async def _discard(services: State, tenant_id: UUID, blobs: Sequence[Blob]) -> None:
    """Removes bytes that no row names. Where Postgres cannot say so, they stay: a commit may have come through."""
    if not blobs:
        return

    async def delete(blob: Blob) -> None:
        await services.storage.delete_prefix(blob_prefix(tenant_id, blob.id))

    try:
        async with services.database.transaction(tenant_id) as transaction:
            known = await documents.known_blobs(transaction, [blob.id for blob in blobs])
        await _each([blob for blob in blobs if blob.id not in known], delete)
    except ArqueductError as error:
        log.warning("blobs may be left behind", blobs=len(blobs), first=str(blobs[0].id), error=str(error))


async def _each(things: Sequence[Thing], do: Callable[[Thing], Awaitable[None]]) -> None:
    """A few at once. What the first failure raises is raised as it is, after the others have stopped."""
    waiting = iter(things)

    async def work() -> None:
        for thing in waiting:
            await do(thing)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(things))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


def _first(failures: "BaseExceptionGroup[BaseException]") -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
