"""Replaces the document's passages and ends the job, in one transaction: a search sees the old ones or the new."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from arqueduct import metrics, storable
from arqueduct.artifacts import Chunk, read_lines
from arqueduct.database import Transaction
from arqueduct.errors import DocumentDeleted, EmbeddingsMissing, LeaseLost
from arqueduct.ids import new_id
from arqueduct.pipeline import Stage, StageContext, Subject
from arqueduct.repositories import documents
from arqueduct.repositories.statements import TOUCHED
from arqueduct_worker.stages.embed import text_hash

__all__ = ["Store"]

BATCH = 500
"""Rows in one statement: a few hundred kilobytes, and progress every tenth of a second."""

SMALL = 16
"""Passages of a document that is stored together with others: their transaction takes some milliseconds."""

# Counts those without a vector, one by one in the index: over all of a large document Postgres chose a plan that took
# three times as long as the rest. Nobody drops vectors meanwhile.
_INSERT = """
    WITH new AS MATERIALIZED (
        SELECT * FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::int[], $7::text[], $8::bytea[], $9::int[],
            $10::int[], $11::bigint[], $12::bigint[], $13::int[], $14::text[])
            AS n(id, document_id, language, ordinal, text, text_hash, first_page, last_page, start_offset, end_offset,
                tokens, heading)
    ), added AS (
        INSERT INTO chunks (id, tenant_id, document_id, ordinal, text, text_hash, first_page, last_page, start_offset,
            end_offset, tokens, heading, language)
        SELECT id, $1, document_id, ordinal, text, text_hash, first_page, last_page, start_offset, end_offset, tokens,
            heading, language::regconfig
        FROM new
    )
    SELECT count(*) FROM new LEFT JOIN LATERAL (
        SELECT true AS is_there FROM embeddings e
        WHERE e.tenant_id = $1 AND e.model_id = $2 AND e.text_hash = new.text_hash OFFSET 0
    ) vector ON true WHERE is_there IS NULL
"""

# What a user wrote meanwhile stays.
_DOCUMENTS = f"""
    WITH new AS (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::int[], $5::text[], $6::text[], $7::text[])
            AS n(id, pages, characters, chunks, text_recipe, title, metadata)
    ), held AS MATERIALIZED (
        SELECT id FROM documents WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE documents d SET pages = n.pages, characters = n.characters, chunks = n.chunks, text_recipe = n.text_recipe,
        title = coalesce(d.title, n.title), metadata = n.metadata::jsonb || d.metadata,
        tokens = (SELECT coalesce(sum(c.tokens), 0) FROM chunks c WHERE c.document_id = d.id),
        {TOUCHED}
    FROM new n JOIN held USING (id) WHERE d.id = n.id
"""


class Store(Stage):
    """Counts chunks."""

    name = "store"
    label = "storing"
    weight = 0.15
    about = "Makes the passages searchable, and ends the job."

    async def run(self, context: StageContext) -> None:
        if not (await _store_together(context)):
            await _store_alone(context)
        metrics.chunks.inc(context.facts["chunks"])


async def _store_together(context: StageContext) -> bool:
    """Only what is stored for the first time: nothing of it is to be removed."""
    if context.subject.is_stored or context.facts["chunks"] > SMALL:
        return False
    chunks = await asyncio.to_thread(lambda: list(read_lines(context.chunks_path, Chunk)))
    return await context.shared_completion(_store_all, _Stored(context, chunks))


@dataclass(frozen=True)
class _Stored:
    """A whole document."""

    context: StageContext
    chunks: Sequence[Chunk]


async def _store_all(transaction: Transaction, stored: Sequence[_Stored]) -> None:
    contexts = [one.context for one in stored]
    document_ids = [context.subject.document_id for context in contexts]
    await documents.lock_chunks(transaction, document_ids, replaces=False)
    rows = [(one.context.subject, chunk) for one in stored for chunk in one.chunks]
    await _insert(transaction, rows, contexts[0].model_id)
    await _finish(transaction, contexts, [])


async def _store_alone(context: StageContext) -> None:
    async with context.completion() as transaction:
        replaced = await _drop_old(transaction, context)
        await _insert_by_and_by(transaction, context)
        await _finish(transaction, [context], replaced)


async def _finish(transaction: Transaction, contexts: Sequence[StageContext], replaced: Sequence[bytes]) -> None:
    await documents.drop_vectors(transaction, [context.subject.document_id for context in contexts], replaced)
    await _describe(transaction, contexts)


async def _drop_old(transaction: Transaction, context: StageContext) -> list[bytes]:
    """Removes the passages of an earlier ingest; returns the hashes of their texts."""
    document_id = context.subject.document_id
    driver = transaction.driver
    replaces = await driver.fetchval("SELECT EXISTS (SELECT FROM chunks WHERE document_id = $1)", document_id)
    await documents.lock_chunks(transaction, [document_id], replaces=replaces)
    rows = await driver.fetch("DELETE FROM chunks WHERE document_id = $1 RETURNING text_hash", document_id)
    if rows and not replaces:
        raise LeaseLost("Another attempt stored the document meanwhile.")
    return [row["text_hash"] for row in rows]


async def _insert_by_and_by(transaction: Transaction, context: StageContext) -> None:
    total: int = context.facts["chunks"]
    done = 0
    chunks = read_lines(context.chunks_path, Chunk)
    while some := await asyncio.to_thread(lambda: list(islice(chunks, BATCH))):
        await _insert(transaction, [(context.subject, chunk) for chunk in some], context.model_id)
        done += len(some)
        context.progress(done, total, "chunks")


async def _insert(transaction: Transaction, chunks: Sequence[tuple[Subject, Chunk]], model_id: int) -> None:
    """Passages of documents of one tenant."""
    if not chunks:
        return
    tenant_id = chunks[0][0].tenant_id
    columns = zip(*(_columns(*chunk) for chunk in chunks), strict=True)
    missing = await transaction.driver.fetchval(_INSERT, tenant_id, model_id, *columns)
    if missing:
        raise EmbeddingsMissing(f"{missing} vectors were removed by a deletion meanwhile.")


def _columns(subject: Subject, chunk: Chunk) -> Sequence[object]:
    return (
        new_id(),
        subject.document_id,
        subject.language,
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


async def _describe(transaction: Transaction, contexts: Sequence[StageContext]) -> None:
    changed = await transaction.driver.execute(_DOCUMENTS, *zip(*map(_description, contexts), strict=True))
    if changed != f"UPDATE {len(contexts)}":
        raise DocumentDeleted


def _description(context: StageContext) -> Sequence[object]:
    facts = context.facts
    return (
        context.subject.document_id,
        facts["pages"],
        facts["characters"],
        facts["chunks"],
        context.text_recipe,
        None if facts.get("title") is None else storable.text(facts["title"]),
        storable.json(facts.get("metadata") or {}),
    )
