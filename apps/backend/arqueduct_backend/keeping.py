"""Bytes of uploads go to the storage before their rows do. What no row names in the end is removed again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import structlog

from arqueduct.database import Transaction
from arqueduct.errors import ArqueductError, OriginalAway
from arqueduct.ids import new_id
from arqueduct.models import Blob
from arqueduct.repositories import documents
from arqueduct.storage.layout import blob_key, blob_prefix
from arqueduct_backend.state import State
from arqueduct_backend.uploads import Upload

__all__ = ["Keeping", "storing"]

log = structlog.get_logger()

AT_ONCE = 8
"""Small files on their way to the storage: enough to hide the latency of S3, and few enough for one disk."""
LARGE = 4 * 2**20
"""Bytes from which a file is sent in parts, several at a time, and so goes alone: eight of them took 280 MB."""

ROUNDS = 3
"""In which bytes are brought back: one, unless somebody puts more of them away between looking and committing."""

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Keeping:
    """Bytes that lie in the storage under blobs that have no rows yet."""

    def __init__(self, blobs: Iterable[Blob]) -> None:
        self._blobs = {blob.sha256: blob for blob in blobs}
        self._kept: set[UUID] = set()
        self.brought: dict[UUID, Blob] = {}
        """Also stored as bytes of a blob, by its id, that has a row and had lost them: as its copy of this one's id."""

    async def keep(self, transaction: Transaction, uploads: Sequence[Upload]) -> dict[str, Blob]:
        """Writes rows for the bytes of these; returns by hash the blobs to name, new ones or those the tenant had.

        Their bytes are hot from the commit on. Raises `OriginalAway`, which `storing` answers with another round.
        """
        wanted = [self._blobs[upload.sha256] for upload in uploads]
        found = await documents.add_blobs(transaction, wanted, brought_to=self.brought)
        self._kept = {blob.id for blob in found.values()}
        return found

    def bring(self, away: Mapping[UUID, str]) -> list[tuple[UUID, Blob]]:
        """What has to be stored before the next round: bytes by the id of the blob that lacks them, and the new one."""
        more = {blob_id: self._blobs[sha256] for blob_id, sha256 in away.items()}
        self.brought |= more
        return list(more.items())

    @property
    def put(self) -> list[Blob]:
        return list(self._blobs.values())

    @property
    def left(self) -> list[Blob]:
        """Those that `keep` found no use for."""
        return [blob for blob in self._blobs.values() if blob.id not in self._kept]


async def storing(
    services: State, tenant_id: UUID, uploads: Sequence[Upload], commit: Callable[[Keeping], Awaitable[Result]]
) -> Result:
    """Puts the bytes into the storage, the same ones once, and commits. Those that the tenant has hot already are not
    kept twice; those it has cold, or had until a policy removed them, become hot again by this upload.

    `commit` is one transaction that calls `keep`; it is called again where bytes have to be brought back first. What no
    row names in the end is gone afterwards, and all of it if this fails, as far as storage and Postgres answer. Raises
    `DependencyUnavailable`, and `OriginalAway` where bytes went away again and again meanwhile.
    """
    distinct = {upload.sha256: upload for upload in uploads}
    bytes_of = Keeping(
        Blob(id=new_id(), tenant_id=tenant_id, sha256=sha256, size=upload.size) for sha256, upload in distinct.items()
    )

    async def put(files: Iterable[tuple[UUID, UUID | None, Blob]]) -> None:
        """Under the ids of a blob and of its copy."""

        async def one(file: tuple[UUID, UUID | None, Blob]) -> None:
            blob_id, copy_id, blob = file
            await services.storage.put_file(blob_key(tenant_id, blob_id, copy_id), distinct[blob.sha256].path)

        wanted = list(files)
        await _each([file for file in wanted if file[2].size < LARGE], one)
        for file in wanted:
            if file[2].size >= LARGE:
                await one(file)

    async def rounds() -> Result:
        for _ in range(ROUNDS):
            try:
                return await commit(bytes_of)
            except OriginalAway as away:
                await put((known, blob.id, blob) for known, blob in bytes_of.bring(away.details["blobs"]))
        return await commit(bytes_of)

    try:
        await put((blob.id, None, blob) for blob in bytes_of.put)
        result = await rounds()
    except BaseException:
        await _discard(services, tenant_id, bytes_of.put, bytes_of.brought)
        raise
    await _discard(services, tenant_id, bytes_of.left, bytes_of.brought)
    return result


async def _discard(services: State, tenant_id: UUID, blobs: Sequence[Blob], brought: Mapping[UUID, Blob]) -> None:
    """Removes bytes that no row names. Where Postgres cannot say so, they stay: a commit may have come through."""
    if not blobs and not brought:
        return
    try:
        async with services.database.transaction(tenant_id) as transaction:
            copies = await documents.known_blobs(transaction, [*(blob.id for blob in blobs), *brought])
        await _each(
            [blob_prefix(tenant_id, blob.id) for blob in blobs if blob.id not in copies], services.storage.delete_prefix
        )
        unneeded = [known for known, blob in brought.items() if copies.get(known) != blob.id]
        await _each([[blob_key(tenant_id, known, brought[known].id)] for known in unneeded], services.storage.delete)
    except ArqueductError as error:
        log.warning("blobs may be left behind", blobs=len(blobs) + len(brought), error=str(error))


async def _each(things: Sequence[Thing], do: Callable[[Thing], Awaitable[object]]) -> None:
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
