"""Where the bytes of blobs are: hot, cold or removed. Every change is made with the blob's row held, by one statement.

Documents before blobs: who holds both rows takes them in that order, as uploads, deletions and everybody here do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.errors import DocumentArchived, DocumentDeleted, OriginalAway, OriginalRemoved
from arqueduct.storage.layout import blob_key, cold_key

__all__ = [
    "ARCHIVE",
    "MOVING",
    "RESTORE",
    "UNFINISHED",
    "Original",
    "chill",
    "count_files",
    "count_resting",
    "find",
    "held",
    "is_wanted",
    "of_document",
    "readable",
    "readable_of",
    "remove_unwanted",
    "resting",
    "warm",
]

ARCHIVE, RESTORE = "document.archive", "document.restore"
"""Kinds of jobs that put documents away and bring them back."""
MOVING = f"('{ARCHIVE}', '{RESTORE}')"
UNFINISHED = "('queued', 'running', 'paused')"

_COLUMNS = "b.id, b.tenant_id, b.sha256, b.size, b.place, b.copy, b.cold_size"

# A document of these bytes that may be read at any moment, or that somebody is reading.
_WANTED_HOT = f"""
    EXISTS (
        SELECT FROM documents d WHERE d.blob_id = b.id AND d.deleted_at IS NULL AND (
            d.archived_at IS NULL AND d.original_removed_at IS NULL
            OR EXISTS (SELECT FROM jobs j WHERE j.document_id = d.id AND j.state IN {UNFINISHED}
                AND j.kind NOT IN {MOVING})
        )
    )
"""

_RESTING = f"""
    FROM blobs b WHERE place = 'hot' AND id > $1 AND NOT {_WANTED_HOT} AND EXISTS (
        SELECT FROM documents d WHERE d.blob_id = b.id AND d.deleted_at IS NULL AND d.archived_at IS NOT NULL
            AND d.original_removed_at IS NULL
    )
"""


@dataclass(frozen=True, kw_only=True)
class Original:
    """The bytes of a blob, and where they are."""

    id: UUID
    tenant_id: UUID
    sha256: str
    size: int
    """Bytes, as they were uploaded."""
    place: Literal["hot", "cold", "removed"]
    copy: UUID | None
    cold_size: int | None

    @property
    def key(self) -> str | None:
        """Of the file in the storage; none where the bytes are no more."""
        if self.place == "removed":
            return None
        key = cold_key if self.place == "cold" else blob_key
        return key(self.tenant_id, self.id, self.copy)


async def find(driver: Driver, blob_id: UUID) -> Original | None:
    row = await driver.fetchrow(f"SELECT {_COLUMNS} FROM blobs b WHERE id = $1", blob_id)
    return _original(row) if row else None


async def held(driver: Driver, blob_id: UUID) -> Original | None:
    """Nobody moves it, and no upload of the same bytes commits, until the transaction ends."""
    row = await driver.fetchrow(f"SELECT {_COLUMNS} FROM blobs b WHERE id = $1 FOR NO KEY UPDATE", blob_id)
    return _original(row) if row else None


async def of_document(driver: Driver, document_id: UUID) -> Original:
    """Wherever it is. Raises `DocumentDeleted`."""
    row = await driver.fetchrow(
        f"SELECT {_COLUMNS} FROM documents d JOIN blobs b ON b.id = d.blob_id WHERE d.id = $1 AND d.deleted_at IS NULL",
        document_id,
    )
    if row is None:
        raise DocumentDeleted
    return _original(row)


async def readable(driver: Driver, document_id: UUID) -> Original:
    """`readable_of` one."""
    return readable_of(await rows_of(driver, [document_id]), document_id)


async def rows_of(driver: Driver, document_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """The originals of documents, as `readable_of` takes them."""
    rows = await driver.fetch(
        f"SELECT {_COLUMNS}, d.id AS document_id, d.archived_at, d.original_removed_at "
        "FROM documents d JOIN blobs b ON b.id = d.blob_id WHERE d.id = ANY ($1::uuid[]) AND d.deleted_at IS NULL",
        document_ids,
    )
    return {row["document_id"]: row for row in rows}


def readable_of(rows: Mapping[UUID, asyncpg.Record], document_id: UUID) -> Original:
    """The original of a document, if it can be read now.

    Raises `DocumentDeleted`, `DocumentArchived`, `OriginalRemoved`.
    """
    row = rows.get(document_id)
    if row is None:
        raise DocumentDeleted
    if row["original_removed_at"] is not None or row["place"] == "removed":
        raise OriginalRemoved
    if row["archived_at"] is not None:
        raise DocumentArchived
    if row["place"] != "hot":  # being thawed at this moment
        raise OriginalAway(blob_id=row["id"])
    return _original(row)


async def resting(driver: Driver, *, after: UUID, most: int) -> list[Original]:
    """Hot originals of the tenant that only archived documents have, by id."""
    rows = await driver.fetch(
        f"SELECT {_COLUMNS} {_RESTING} ORDER BY id LIMIT $2",
        after,
        most,
    )
    return [_original(row) for row in rows]


async def count_resting(driver: Driver, *, after: UUID) -> int:
    """How many `resting` would return."""
    found: int = await driver.fetchval(f"SELECT count(*) {_RESTING}", after)
    return found


async def count_files(driver: Driver) -> int:
    """About how many files the tenant has in the storage: those that a row names."""
    found: int = await driver.fetchval(
        "SELECT (SELECT count(*) FROM blobs WHERE tenant_id = current_tenant() AND place <> 'removed') + (SELECT "
        "count(DISTINCT (blob_id, text_recipe)) FROM documents WHERE tenant_id = current_tenant() "
        "AND deleted_at IS NULL AND text_recipe IS NOT NULL)"
    )
    return found


async def is_wanted(driver: Driver, blob_id: UUID) -> bool:
    """Whether it has to be hot."""
    return bool(await driver.fetchval(f"SELECT {_WANTED_HOT} FROM blobs b WHERE id = $1", blob_id))


async def chill(driver: Driver, seen: Original, copy: UUID, cold_size: int) -> bool:
    """From hot to the cold file `copy`, which is there already. False: somebody wants it hot, or moved it meanwhile;
    then nothing has changed. After the commit `seen.key` may be deleted."""
    now = await held(driver, seen.id)
    if now != seen or seen.place != "hot" or await is_wanted(driver, seen.id):
        return False
    await driver.execute(
        "UPDATE blobs SET place = 'cold', copy = $2, cold_size = $3 WHERE id = $1", seen.id, copy, cold_size
    )
    return True


async def warm(driver: Driver, seen: Original, copy: UUID | None) -> bool:
    """From cold to the hot file `copy`, which is there already; nothing where it is not cold any more.

    True: it is moved, and after the commit `seen.key` may be deleted. Raises `OriginalAway` if it was frozen since it
    was seen: thaw it, then come again.
    """
    now = await held(driver, seen.id)
    if now is None:
        raise DocumentDeleted
    if now.place != "cold":
        return False
    if copy is None or now != seen:
        raise OriginalAway("The original was frozen meanwhile.", blob_id=seen.id)
    await driver.execute("UPDATE blobs SET place = 'hot', copy = $2, cold_size = NULL WHERE id = $1", seen.id, copy)
    return True


async def remove_unwanted(driver: Driver, blob_ids: Sequence[UUID]) -> list[Original]:
    """Gives up the bytes of those blobs of which every document has lost its original; returns them as they were.

    After the commit their keys may be deleted.
    """
    given_up = []
    # In order of the hashes, as uploads of many files lock them.
    ordered = await driver.fetch(
        'SELECT id FROM blobs WHERE id = ANY ($1::uuid[]) ORDER BY sha256 COLLATE "C"', blob_ids
    )
    for blob_id in [row["id"] for row in ordered]:
        now = await held(driver, blob_id)
        if now is None or now.place == "removed":
            continue
        changed = await driver.execute(
            "UPDATE blobs b SET place = 'removed', copy = NULL, cold_size = NULL WHERE id = $1 AND NOT EXISTS "
            "(SELECT FROM documents d WHERE d.blob_id = b.id AND d.deleted_at IS NULL "
            "AND d.original_removed_at IS NULL)",
            blob_id,
        )
        if changed != "UPDATE 0":
            given_up.append(now)
    return given_up


def _original(row: asyncpg.Record) -> Original:
    return Original(
        id=row["id"],
        tenant_id=row["tenant_id"],
        sha256=row["sha256"],
        size=row["size"],
        place=cast("Literal['hot', 'cold', 'removed']", row["place"]),
        copy=row["copy"],
        cold_size=row["cold_size"],
    )
