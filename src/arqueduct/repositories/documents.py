"""Documents and their blobs. A document's status is the state of its newest ingest job, or `uploaded` before it has
one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlmodel import select

from arqueduct.database import Driver, Transaction
from arqueduct.errors import OriginalAway
from arqueduct.models import Blob, Document, Job
from arqueduct.repositories import originals
from arqueduct.storage.layout import blob_prefix

__all__ = [
    "Listed",
    "add_blob",
    "add_blobs",
    "briefs",
    "drop_vectors",
    "find",
    "known_blobs",
    "lock_chunks",
    "mark_all_deleted",
    "mark_deleted",
    "page",
    "purge",
]

LOCK_SECONDS = 10
"""How long a deletion waits for a worker that is just storing; a large document takes some seconds."""

_WARM = """
    UPDATE blobs b SET place = 'hot', copy = brought.copy, cold_size = NULL
    FROM unnest($1::uuid[], $2::uuid[]) AS brought(id, copy) WHERE b.id = brought.id
"""


_BRIEFS = """
    SELECT id AS document_id, name, content_type AS format, blob_id, size, sha256, language,
        text_recipe IS NOT NULL AS is_stored
    FROM documents WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL
"""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A document with the job that its status comes from, if it has one yet."""

    document: Document
    job: Job | None


async def add_blob(transaction: Transaction, blob: Blob) -> Blob:
    """`add_blobs` of one."""
    return (await add_blobs(transaction, [blob]))[blob.sha256]


async def add_blobs(
    transaction: Transaction, blobs: Sequence[Blob], *, brought_to: Collection[UUID] = ()
) -> dict[str, Blob]:
    """Inserts those whose bytes the tenant has not yet; returns all by their hash, locked against deletion.

    Their bytes are hot from the commit on. Raises `OriginalAway` if the tenant knows some but has them cold, or no
    more; its `blobs` are their hashes by the ids of the rows. Then store each under `blob_key(tenant, that id,
    blob.id)`, and come again with those ids as `brought_to`. Such a file is needed if what comes back has `blob.id` as
    its `copy_id`; else discard it.

    In order of the hashes, so that uploads of the same bytes wait for each other and never in a circle.
    """
    ordered = sorted({blob.sha256: blob for blob in blobs}.values(), key=lambda blob: blob.sha256)
    rows = await transaction.driver.fetch(
        "INSERT INTO blobs (id, tenant_id, sha256, size) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], "
        "$4::bigint[]) ON CONFLICT (tenant_id, sha256) DO UPDATE SET size = excluded.size "
        "RETURNING id, sha256, place, copy",
        [blob.id for blob in ordered],
        [blob.tenant_id for blob in ordered],
        [blob.sha256 for blob in ordered],
        [blob.size for blob in ordered],
    )
    away = {row["id"]: row["sha256"] for row in rows if row["place"] != "hot"}
    if not away.keys() <= set(brought_to):
        raise OriginalAway(blobs={blob_id: away[blob_id] for blob_id in away.keys() - set(brought_to)})
    found = {row["sha256"]: (row["id"], row["copy"]) for row in rows}
    came = {blob.sha256: blob.id for blob in ordered}
    back = {blob_id: came[sha256] for blob_id, sha256 in away.items()}
    if back:
        await transaction.driver.execute(_WARM, list(back), list(back.values()))
    return {
        blob.sha256: blob.model_copy(update={"id": blob_id, "copy_id": back.get(blob_id, copy)})
        for blob in ordered
        for blob_id, copy in [found[blob.sha256]]
    }


async def known_blobs(transaction: Transaction, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """The names of the files of those of these blobs that have a row."""
    rows = await transaction.driver.fetch("SELECT id, copy FROM blobs WHERE id = ANY ($1::uuid[])", ids)
    return {row["id"]: row["copy"] for row in rows}


async def find(transaction: Transaction, document_id: UUID, *, locked: bool = False) -> Listed | None:
    """`locked`: nobody else changes the document until the transaction ends."""
    query = (
        select(Document, Job)
        .join(Job, Job.id == Document.job_id, isouter=True)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
        .where(Document.id == document_id, Document.deleted_at.is_(None))  # type: ignore[union-attr]  # a column, not a datetime
    )
    if locked:
        query = query.with_for_update(of=Document, key_share=True)
    found = (await transaction.session.exec(query)).first()
    return Listed(document=found[0], job=found[1]) if found else None


async def briefs(driver: Driver, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """What jobs need to know of their documents, of those that are there."""
    rows = await driver.fetch(_BRIEFS, ids)
    return {row["document_id"]: row for row in rows}


async def page(
    transaction: Transaction, *, limit: int, before: UUID | None, archived: bool | None = None
) -> Sequence[Listed]:
    """The newest first, from the one older than `before`; ids are in order of creation."""
    query = (
        select(Document, Job)
        .join(Job, Job.id == Document.job_id, isouter=True)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
        .where(Document.deleted_at.is_(None))  # type: ignore[union-attr]  # a column, not a datetime
        .order_by(Document.id.desc())  # type: ignore[attr-defined]  # a column, not a UUID
        .limit(limit)
    )
    if before is not None:
        query = query.where(Document.id < before)
    if archived is not None:
        query = query.where(Document.archived_at.is_not(None) if archived else Document.archived_at.is_(None))  # type: ignore[union-attr]  # a column, not a datetime
    return [Listed(document=document, job=job) for document, job in await transaction.session.exec(query)]


async def mark_deleted(transaction: Transaction, document_id: UUID) -> bool:
    """`mark_all_deleted` of one. False: there is none."""
    return bool(await mark_all_deleted(transaction, [document_id]))


async def mark_all_deleted(transaction: Transaction, document_ids: Sequence[UUID]) -> list[UUID]:
    """Hides documents from every reader and notes that their parts are to be removed; they leave their file sets.

    Returns those that were there.
    """
    rows = await transaction.driver.fetch(
        # In the order that all keep to who change several.
        "WITH held AS (SELECT id FROM documents WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL ORDER BY id "
        "FOR NO KEY UPDATE), gone AS (UPDATE documents d SET deleted_at = now() FROM held WHERE d.id = held.id "
        "RETURNING d.id, d.tenant_id) INSERT INTO deletions (document_id, tenant_id) SELECT id, tenant_id FROM gone "
        "RETURNING document_id",
        document_ids,
    )
    return [row["document_id"] for row in rows]


async def purge(transaction: Transaction, document_id: UUID, *, patience: int = LOCK_SECONDS) -> str | None:
    """Removes the rows of a deleted document; returns the storage prefix to delete after the commit, if any.

    Idempotent: what an earlier call removed is not missed. Vectors go unless another document has the same text,
    the blob goes unless another document has the same bytes. Raises `asyncpg.LockNotAvailableError` after
    `patience` seconds of waiting for somebody who is storing.
    """
    driver = transaction.driver
    await driver.execute(f"SET LOCAL lock_timeout = '{patience}s'")
    await lock_chunks(transaction, [document_id], replaces=True)
    document = await driver.fetchrow("SELECT tenant_id, blob_id FROM documents WHERE id = $1", document_id)
    hashes = await driver.fetch("DELETE FROM chunks WHERE document_id = $1 RETURNING text_hash", document_id)
    await drop_vectors(transaction, [document_id], [row["text_hash"] for row in hashes])
    if document is None:
        kept: str | None = await driver.fetchval("SELECT prefix FROM deletions WHERE document_id = $1", document_id)
        return kept
    await driver.execute("DELETE FROM documents WHERE id = $1", document_id)
    await originals.held(driver, document["blob_id"])  # an upload of these bytes that comes first is seen from here on
    orphan = await driver.fetchrow(
        "DELETE FROM blobs b WHERE id = $1 AND NOT EXISTS (SELECT FROM documents WHERE blob_id = b.id) RETURNING id",
        document["blob_id"],
    )
    if orphan is None:
        await originals.remove_unwanted(driver, [document["blob_id"]])  # the janitor takes the file
        return None
    prefix: str = blob_prefix(document["tenant_id"], document["blob_id"])
    await driver.execute("UPDATE deletions SET prefix = $2 WHERE document_id = $1", document_id, prefix)
    return prefix


async def drop_vectors(transaction: Transaction, document_ids: Sequence[UUID], hashes: Sequence[bytes]) -> None:
    """Removes vectors of these texts, and those bought for these documents, that no chunk of the tenant has now."""
    await transaction.driver.execute(
        "DELETE FROM embeddings e WHERE (e.text_hash = ANY ($2::bytea[]) OR e.bought_for = ANY ($1::uuid[])) "
        "AND NOT EXISTS (SELECT FROM chunks c WHERE c.tenant_id = e.tenant_id AND c.text_hash = e.text_hash)",
        document_ids,
        hashes,
    )


async def lock_chunks(transaction: Transaction, document_ids: Sequence[UUID], *, replaces: bool) -> None:
    """Serialises writers of these documents, and keeps vectors from being dropped while chunks come that need them.

    Who only adds chunks shares the tenant's vectors; who may drop vectors holds them alone.
    """
    driver = transaction.driver
    await driver.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('document ' || id, 0)) FROM unnest($1::text[]) AS d(id)",
        [str(document_id) for document_id in sorted(document_ids)],  # an order that all keep to
    )
    lock = "pg_advisory_xact_lock" if replaces else "pg_advisory_xact_lock_shared"
    await driver.execute(f"SELECT {lock}(hashtextextended('vectors ' || current_setting('app.tenant_id'), 0))")
