"""Replaces the document's passages and ends the job, in one transaction: a search sees the old ones or the new."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice

from arqueduct import metrics, storable
from arqueduct.artifacts import Chunk, read_lines
from arqueduct.database import Transaction
from arqueduct.errors import DocumentDeleted, EmbeddingsMissing, LeaseLost
from arqueduct.ids import new_id
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents
from arqueduct.repositories.statements import TOUCHED
from arqueduct_worker.stages.embed import text_hash

__all__ = ["Store"]

BATCH = 500
"""Rows in one statement: a few hundred kilobytes, and progress every tenth of a second."""

_INSERT = """
    INSERT INTO chunks (id, tenant_id, document_id, ordinal, text, text_hash, first_page, last_page, start_offset,
        end_offset, tokens, heading, language)
    SELECT new.id, $1, $2, new.ordinal, new.text, new.text_hash, new.first_page, new.last_page, new.start_offset,
        new.end_offset, new.tokens, new.heading, $3::text::regconfig
    FROM unnest($4::uuid[], $5::int[], $6::text[], $7::bytea[], $8::int[], $9::int[], $10::bigint[], $11::bigint[],
        $12::int[], $13::text[])
        AS new(id, ordinal, text, text_hash, first_page, last_page, start_offset, end_offset, tokens, heading)
"""

_WITHOUT_VECTOR = """
    SELECT count(*) FROM chunks c WHERE c.document_id = $1 AND NOT EXISTS (
        SELECT FROM embeddings e
        WHERE e.tenant_id = c.tenant_id AND e.model_id = $2 AND e.text_hash = c.text_hash
    )
"""

# What a user wrote meanwhile stays.
_DOCUMENT = f"""
    UPDATE documents SET pages = $2, characters = $3, chunks = $4, text_recipe = $5, title = coalesce(title, $6),
        metadata = $7::jsonb || metadata,
        tokens = (SELECT coalesce(sum(c.tokens), 0) FROM chunks c WHERE c.document_id = $1),
        {TOUCHED}
    WHERE id = $1 AND deleted_at IS NULL
"""


class Store(Stage):
    """Counts chunks."""

    name = "store"
    label = "storing"
    weight = 0.15
    about = "Makes the passages searchable, and ends the job."

    async def run(self, context: StageContext) -> None:
        document_id = context.subject.document_id
        async with context.completion() as transaction:
            replaced = await _drop_old(transaction, context)
            await _insert(transaction, context)
            await documents.drop_vectors(transaction, document_id, replaced)
            missing = await transaction.driver.fetchval(_WITHOUT_VECTOR, document_id, context.model_id)
            if missing:
                raise EmbeddingsMissing(f"{missing} vectors were removed by a deletion meanwhile.")
            await _describe(transaction, context)
        metrics.chunks.inc(context.facts["chunks"])


async def _drop_old(transaction: Transaction, context: StageContext) -> list[bytes]:
    """Removes the passages of an earlier ingest; returns the hashes of their texts."""
    document_id = context.subject.document_id
    driver = transaction.driver
    replaces = await driver.fetchval("SELECT EXISTS (SELECT FROM chunks WHERE document_id = $1)", document_id)
    await documents.lock_chunks(transaction, document_id, replaces=replaces)
    rows = await driver.fetch("DELETE FROM chunks WHERE document_id = $1 RETURNING text_hash", document_id)
    if rows and not replaces:
        raise LeaseLost("Another attempt stored the document meanwhile.")
    return [row["text_hash"] for row in rows]


async def _insert(transaction: Transaction, context: StageContext) -> None:
    total: int = context.facts["chunks"]
    done = 0
    chunks = read_lines(context.chunks_path, Chunk)
    while rows := await asyncio.to_thread(_take, chunks):
        await transaction.driver.execute(
            _INSERT,
            context.subject.tenant_id,
            context.subject.document_id,
            context.subject.language,
            [new_id() for _ in rows],
            *zip(*map(_columns, rows), strict=True),
        )
        done += len(rows)
        context.progress(done, total, "chunks")


def _take(chunks: Iterator[Chunk]) -> list[Chunk]:
    return list(islice(chunks, BATCH))


def _columns(chunk: Chunk) -> Sequence[object]:
    return (
        chunk.ordinal,
        chunk.text,
        text_hash(chunk.text),
        chunk.first_page,
        chunk.last_page,
        chunk.start,
        chunk.end,
        chunk.tokens,
        chunk.heading,
    )


async def _describe(transaction: Transaction, context: StageContext) -> None:
    facts = context.facts
    changed = await transaction.driver.execute(
        _DOCUMENT,
        context.subject.document_id,
        facts["pages"],
        facts["characters"],
        facts["chunks"],
        context.text_recipe,
        None if facts.get("title") is None else storable.text(facts["title"]),
        storable.json(facts.get("metadata") or {}),
    )
    if changed == "UPDATE 0":
        raise DocumentDeleted
