"""Many documents, put straight into the tables: what is stored is the same as after an ingest, in a hundredth of the
time. How documents get there is what the other workloads measure.
"""

import random
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from uuid import UUID

import asyncpg
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from arqueduct.ids import new_id
from benchmarks.corpus import cut
from benchmarks.installation import Installation
from benchmarks.provider import embed

__all__ = ["PASSAGES", "fill"]

PASSAGES = 10
"""Of a document."""
AT_ONCE = 500
"""Documents copied in one go."""
BUILDING = "SET maintenance_work_mem = '3GB'; SET max_parallel_maintenance_workers = 1"
"""A graph that outgrows the memory is built several times slower."""

_HNSW = "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'"
_PASSAGE_COLUMNS = (
    *("id", "tenant_id", "document_id", "ordinal", "text", "text_hash", "first_page", "last_page"),
    *("start_offset", "end_offset", "tokens"),
)
# By way of another table: COPY takes no name of a text-search configuration.
_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS staged AS SELECT {columns} FROM chunks WITH NO DATA"
_UNSTAGE = "INSERT INTO chunks ({columns}, language) SELECT {columns}, 'english' FROM staged"


async def fill(ours: Installation, words: Sequence[str], count: int, seed: int) -> None:
    """Stores so many documents of made-up text; their vectors are in the index at the end."""
    owner = ours.owner
    await register_vector(owner)
    user: dict[str, UUID] = {"tenant": ours.credentials.tenant_id, "user": ours.credentials.user_id}
    model_id: int = await owner.fetchval("SELECT id FROM embedding_models ORDER BY id LIMIT 1")
    indexes = await owner.fetch(_HNSW)
    for index in indexes:
        await owner.execute(f"DROP INDEX {index['indexname']}")
    columns = ", ".join(_PASSAGE_COLUMNS)
    await owner.execute(_STAGE.format(columns=columns))
    texts = cut(words, count * PASSAGES, random.Random(seed))
    while passages := list(islice(texts, AT_ONCE * PASSAGES)):
        await _store(owner, user, model_id, [f"{seed} {text}" for text in passages])
        await owner.execute(_UNSTAGE.format(columns=columns), timeout=600)
        await owner.execute("TRUNCATE staged")
    await owner.execute(BUILDING)
    for index in indexes:
        await owner.execute(index["indexdef"], timeout=3600)
    await owner.execute("VACUUM ANALYZE", timeout=3600)
    await owner.execute("CHECKPOINT", timeout=600)


async def _store(
    owner: "asyncpg.Connection[asyncpg.Record]",
    user: dict[str, UUID],
    model_id: int,
    passages: Sequence[str],
) -> None:
    tenant, count = user["tenant"], len(passages) // PASSAGES
    blobs, documents = [new_id() for _ in range(count)], [new_id() for _ in range(count)]
    hashes = [sha256(text.encode()).digest() for text in passages]
    await owner.copy_records_to_table(
        "blobs",
        columns=["id", "tenant_id", "sha256", "size"],
        records=[(blob, tenant, blob.hex * 2, 1) for blob in blobs],
    )
    await owner.copy_records_to_table(
        "documents",
        columns=[
            "id",
            "tenant_id",
            "user_id",
            "blob_id",
            "name",
            "content_type",
            "size",
            "sha256",
            "language",
            "pages",
            "chunks",
            "text_recipe",
        ],
        records=[
            (
                document,
                tenant,
                user["user"],
                blob,
                f"{document}.txt",
                "text/plain",
                1,
                blob.hex * 2,
                "english",
                1,
                PASSAGES,
                "made up",
            )
            for document, blob in zip(documents, blobs, strict=True)
        ],
    )
    await owner.copy_records_to_table(
        "embeddings",
        columns=["tenant_id", "model_id", "text_hash", "vector", "bought_for", "indexed"],
        records=[
            (tenant, model_id, text_hash, HalfVector(vector), documents[number // PASSAGES], True)
            for number, (text_hash, vector) in enumerate(zip(hashes, embed(passages), strict=True))
        ],
    )
    await owner.copy_records_to_table(
        "staged", columns=_PASSAGE_COLUMNS, records=_rows(tenant, documents, passages, hashes)
    )


def _rows(
    tenant: UUID, documents: Sequence[UUID], passages: Sequence[str], hashes: Sequence[bytes]
) -> Iterator[tuple[object, ...]]:
    for number, (text, text_hash) in enumerate(zip(passages, hashes, strict=True)):
        ordinal = number % PASSAGES
        start = ordinal * 1000
        yield (
            *(new_id(), tenant, documents[number // PASSAGES], ordinal, text, text_hash, 1, 1),
            *(start, start + len(text), len(text) // 4),
        )
