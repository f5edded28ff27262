"""File sets and what is in them. Row-level security keeps to the transaction's tenant.

Who puts something into a set, or moves it there, holds the set's row: paths and bytes are compared with what is in it.
Sets are locked before documents, and documents in order of their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from sqlmodel import select

from arqueduct.database import Transaction
from arqueduct.errors import FileSetArchived, FileSetBusy, FileSetEmpty, NotFound, PathTaken, RequestError
from arqueduct.models import Document, FileSet, FileSetFile, Job
from arqueduct.repositories import archive
from arqueduct.repositories.documents import Listed

__all__ = [
    "DOCUMENTS",
    "Entry",
    "Taken",
    "change_path",
    "check_open",
    "delete",
    "entry",
    "find",
    "lock_documents",
    "lock_moving",
    "lock_only_here",
    "of_document",
    "page",
    "page_of_files",
    "problems",
    "remove",
    "statistics",
    "taken",
]

DOCUMENTS = """
    SELECT f.path, d.* FROM file_set_files f JOIN documents d ON d.id = f.document_id
    WHERE f.file_set_id = $1 AND d.deleted_at IS NULL
"""
"""Every document of the set `$1` with its path in it, as a source for other statements; in no order."""

# `OFFSET 0` has each file's rows looked up by their keys, so that it costs what the set is large, not what the tables
# are. Left to itself the planner reads all documents of all tenants once a set has some thousand files.
_OF_FILES = """
    FROM file_set_files f
    CROSS JOIN LATERAL (SELECT d.* FROM documents d WHERE d.id = f.document_id AND d.deleted_at IS NULL OFFSET 0) d
    LEFT JOIN LATERAL (SELECT j.state FROM jobs j WHERE j.id = d.job_id OFFSET 0) j ON true
    WHERE f.file_set_id = $1
"""
_STATISTICS = f"""
    SELECT d.content_type, coalesce(j.state, 'uploaded') AS status, count(*) AS files, sum(d.size)::bigint AS bytes,
        coalesce(sum(d.pages), 0)::bigint AS pages, coalesce(sum(d.chunks), 0)::bigint AS chunks,
        coalesce(sum(d.tokens), 0)::bigint AS tokens
    {_OF_FILES} GROUP BY 1, 2 ORDER BY 1, 2
"""
_PAGE_OF_FILES = f"""
    SELECT f.document_id {_OF_FILES} AND f.document_id > $2 AND ($4::text IS NULL OR coalesce(j.state, 'uploaded') = $4)
    ORDER BY f.document_id LIMIT $3
"""
_TAKEN = """
    SELECT f.path, d.sha256 FROM file_set_files f
    CROSS JOIN LATERAL (SELECT d.sha256 FROM documents d WHERE d.id = f.document_id OFFSET 0) d
    WHERE f.file_set_id = $1 AND (f.path = ANY ($2::text[]) OR d.sha256 = ANY ($3::text[]))
"""
_STATE = """
    SELECT s.archived_at IS NOT NULL AS is_archived,
        EXISTS (SELECT FROM file_set_files f WHERE f.file_set_id = s.id) AS has_files,
        (SELECT count(*) FROM file_set_files f
            CROSS JOIN LATERAL (SELECT d.job_id FROM documents d WHERE d.id = f.document_id OFFSET 0) d
            CROSS JOIN LATERAL (SELECT j.finished_at FROM jobs j WHERE j.id = d.job_id OFFSET 0) j
            WHERE f.file_set_id = s.id AND j.finished_at IS NULL) AS busy
    FROM file_sets s WHERE s.id = $1
"""
# Locked before it is asked whether they are elsewhere: who adds one to another set holds it meanwhile.
_LOCK_SOME = """
    SELECT d.id FROM file_set_files f JOIN documents d ON d.id = f.document_id
    WHERE f.file_set_id = $1 AND f.document_id > $2 AND d.deleted_at IS NULL
    ORDER BY d.id LIMIT $3 FOR NO KEY UPDATE OF d
"""
_ONLY_HERE = """
    SELECT f.document_id FROM file_set_files f WHERE f.file_set_id = $1 AND f.document_id = ANY ($2::uuid[])
        AND NOT EXISTS (
            SELECT FROM file_set_files o WHERE o.document_id = f.document_id AND o.file_set_id <> f.file_set_id
        )
"""
# To be put away, or brought back.
_LOCK_MOVING = """
    SELECT d.id FROM file_set_files f JOIN documents d ON d.id = f.document_id
    WHERE f.file_set_id = $1 AND d.deleted_at IS NULL AND (d.archived_at IS NOT NULL) = $2
    ORDER BY d.id FOR NO KEY UPDATE OF d
"""
_IN_OTHERS = """
    SELECT DISTINCT o.document_id FROM file_set_files o JOIN file_sets s ON s.id = o.file_set_id
    WHERE o.document_id = ANY ($2::uuid[]) AND o.file_set_id <> $1 AND s.archived_at IS NULL
"""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What in a set stands against more of the same."""

    files: int = 0
    paths: frozenset[str] = field(default_factory=frozenset)
    hashes: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of a set."""

    file: FileSetFile
    listed: Listed


async def find(transaction: Transaction, file_set_id: UUID, *, locked: bool = False) -> FileSet:
    """`locked`: nobody else changes the set, or what is in it, until the transaction ends. Raises `NotFound`."""
    query = select(FileSet).where(FileSet.id == file_set_id)
    if locked:
        query = query.with_for_update(key_share=True)
    found = (await transaction.session.exec(query)).one_or_none()
    if found is None:
        raise NotFound
    return found


def check_open(file_set: FileSet) -> None:
    """Raises `FileSetArchived`: nothing is put into one that is put away."""
    if file_set.archived_at is not None:
        raise FileSetArchived


async def page(transaction: Transaction, *, limit: int, before: UUID | None) -> Sequence[FileSet]:
    """The newest first, from the one older than `before`."""
    query = select(FileSet).order_by(FileSet.id.desc()).limit(limit)  # type: ignore[attr-defined]  # a column, not a UUID
    if before is not None:
        query = query.where(FileSet.id < before)
    return (await transaction.session.exec(query)).all()


async def delete(transaction: Transaction, file_set_id: UUID) -> None:
    """The set, not its documents. Raises `NotFound`."""
    if await transaction.driver.fetchval("DELETE FROM file_sets WHERE id = $1 RETURNING id", file_set_id) is None:
        raise NotFound


async def taken(transaction: Transaction, file_set_id: UUID, *, paths: Sequence[str], hashes: Sequence[str]) -> Taken:
    """How many files there are, and which of these paths and bytes. It holds as long as the set is locked."""
    driver = transaction.driver
    files: int = await driver.fetchval("SELECT count(*) FROM file_set_files WHERE file_set_id = $1", file_set_id)
    rows = await driver.fetch(_TAKEN, file_set_id, paths, hashes) if files else []
    return Taken(
        files=files,
        paths=frozenset(row["path"] for row in rows),
        hashes=frozenset(row["sha256"] for row in rows),
    )


async def lock_documents(transaction: Transaction, document_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """`name` and `sha256` of those that are there, by id; nobody deletes them until the transaction ends."""
    rows = await transaction.driver.fetch(
        "SELECT id, name, sha256 FROM documents WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL ORDER BY id "
        "FOR SHARE",
        document_ids,
    )
    return {row["id"]: row for row in rows}


async def page_of_files(
    transaction: Transaction, file_set_id: UUID, *, limit: int, after: UUID | None, status: str | None = None
) -> Sequence[Entry]:
    """In order of the documents' ids, which is that of uploading, from the one after `after`."""
    rows = await transaction.driver.fetch(_PAGE_OF_FILES, file_set_id, after or UUID(int=0), limit, status)
    return await _entries(transaction, file_set_id, [row["document_id"] for row in rows])


async def entry(transaction: Transaction, file_set_id: UUID, document_id: UUID) -> Entry:
    """One file. Raises `NotFound`."""
    found = await _entries(transaction, file_set_id, [document_id])
    if not found:
        raise NotFound
    return found[0]


async def _entries(transaction: Transaction, file_set_id: UUID, document_ids: Sequence[UUID]) -> Sequence[Entry]:
    query = (
        select(FileSetFile, Document, Job)
        .join(Document, Document.id == FileSetFile.document_id)  # type: ignore[arg-type]  # SQLModel types the comparison as bool
        .join(Job, Job.id == Document.job_id, isouter=True)  # type: ignore[arg-type]  # so here
        .where(
            FileSetFile.file_set_id == file_set_id,
            FileSetFile.document_id.in_(document_ids),  # type: ignore[attr-defined]  # a column, not a UUID
            Document.deleted_at.is_(None),  # type: ignore[union-attr]  # a column, not a datetime
        )
        .order_by(FileSetFile.document_id)  # type: ignore[arg-type]  # a column, not a UUID
    )
    return [
        Entry(file=file, listed=Listed(document=document, job=job))
        for file, document, job in await transaction.session.exec(query)
    ]


async def change_path(transaction: Transaction, file_set_id: UUID, document_id: UUID, path: str) -> None:
    """Of a set that is locked. Raises `NotFound`, `PathTaken`."""
    found = await entry(transaction, file_set_id, document_id)
    if path != found.file.path:
        known = await taken(transaction, file_set_id, paths=[path], hashes=[])
        if path in known.paths:
            raise PathTaken
        found.file.path = path
        await transaction.session.flush()


async def remove(transaction: Transaction, file_set_id: UUID, document_id: UUID) -> None:
    """Takes a document out of a set; it stays. Raises `NotFound`."""
    gone = await transaction.driver.fetchval(
        "DELETE FROM file_set_files WHERE file_set_id = $1 AND document_id = $2 RETURNING path",
        file_set_id,
        document_id,
    )
    if gone is None:
        raise NotFound


async def of_document(transaction: Transaction, document_id: UUID) -> list[UUID]:
    """The sets that it is in."""
    rows = await transaction.driver.fetch("SELECT file_set_id FROM file_set_files WHERE document_id = $1", document_id)
    return [row["file_set_id"] for row in rows]


async def lock_only_here(
    transaction: Transaction, file_set_id: UUID, *, after: UUID, limit: int
) -> tuple[list[UUID], UUID | None]:
    """The next documents of the set, in order of their ids, that are in no other; nobody takes them up meanwhile.

    Returns them, and behind which to go on; None: these were the last.
    """
    driver = transaction.driver
    looked = [row["id"] for row in await driver.fetch(_LOCK_SOME, file_set_id, after, limit)]
    rows = await driver.fetch(_ONLY_HERE, file_set_id, looked)
    return [row["document_id"] for row in rows], looked[-1] if len(looked) == limit else None


async def lock_moving(transaction: Transaction, file_set_id: UUID, *, archived: bool) -> list[UUID]:
    """Documents of a set that is locked that are archived and come back with it, or the others that go with it: those
    in another set that is not archived stay. Raises `FileSetBusy`.
    """
    driver = transaction.driver
    held = [row["id"] for row in await driver.fetch(_LOCK_MOVING, file_set_id, archived)]
    if not archived:
        staying = {row["document_id"] for row in await driver.fetch(_IN_OTHERS, file_set_id, held)}
        held = [document_id for document_id in held if document_id not in staying]
    if busy := await archive.busy(driver, held):
        raise FileSetBusy(f"{len(busy):,} of its files have jobs that are not finished.")
    return held


async def statistics(transaction: Transaction, file_set_id: UUID) -> Sequence[asyncpg.Record]:
    """A row for each type and status: `content_type, status, files, bytes, pages, chunks, tokens`."""
    return await transaction.driver.fetch(_STATISTICS, file_set_id)


async def problems(transaction: Transaction, file_set_id: UUID) -> list[RequestError]:
    """Why the set cannot be processed now; none: it can. Raises `NotFound`."""
    row = await transaction.driver.fetchrow(_STATE, file_set_id)
    if row is None:
        raise NotFound
    found: list[RequestError] = []
    if row["is_archived"]:
        found.append(FileSetArchived())
    if not row["has_files"]:
        found.append(FileSetEmpty())
    if row["busy"]:
        found.append(FileSetBusy(f"{row['busy']:,} of its files are being processed already."))
    return found
