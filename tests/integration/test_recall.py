"""A vector search that is filtered to a tenant finds what an exact search finds, however small the tenant is."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import pytest
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from arqueduct import search
from arqueduct.database import Database
from arqueduct.embedding import EmbeddingModel
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.search import Mode
from arqueduct.settings import Settings
from tests.integration.many_jobs import owning

DIMENSIONS = 384
OTHERS, OURS = 20_000, 200
"""Chunks of the others and of the tenant that searches: 1 %."""
DOCUMENTS = 4
"""Of the tenant that searches; each has an equal part of its chunks."""
TOPICS = 40
SPREAD = 0.6
"""How far chunks lie from the middle of their topic, which is of length 1: as texts about one thing do."""
QUERIES = 50
LEAST_RECALL = 0.95
NEARLY_ALL = 0.99
"""Of an exact search: Postgres rounds the query to half precision, which decides between two that are as near."""
TOP = 10


@dataclass(frozen=True, kw_only=True)
class Library:
    """Vectors as they are stored, in half precision."""

    model_id: int
    ours: "np.ndarray"
    chunk_ids: Sequence[UUID]
    document_ids: Sequence[UUID]
    """Of each chunk."""
    queries: "np.ndarray"

    def exactly(self, query: "np.ndarray", only: set[UUID] | None = None) -> list[UUID]:
        """The nearest, one by one."""
        similarity = self.ours.astype(np.float32) @ query
        order = np.argsort(-similarity, kind="stable")
        inside = [place for place in order if only is None or self.document_ids[place] in only]
        return [self.chunk_ids[place] for place in inside[:TOP]]


@pytest.fixture
async def library(
    settings: Settings,
    models: list[EmbeddingModel],
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
) -> Library:
    """The others write about what we ask for, and more of it than we do."""
    random = np.random.default_rng(4)
    topics = _on_sphere(random.standard_normal((TOPICS, DIMENSIONS)))
    theirs = _about(random, topics, OTHERS)
    ours = _about(random, topics, OURS)
    # Each query lies where the others are thickest: beside a chunk of theirs.
    queries = _on_sphere(theirs[random.choice(OTHERS, QUERIES, replace=False)] + _noise(random, QUERIES) * SPREAD / 2)
    (model,) = [model for model in models if model.dimensions == DIMENSIONS]
    assert settings.database_url is not None
    owner = await asyncpg.connect(settings.database_url.get_secret_value())
    await register_vector(owner)
    model_id = await owner.fetchval("SELECT id FROM embedding_models WHERE name = $1", model.name)
    index = await owner.fetchval("SELECT pg_get_indexdef($1::regclass)", f"embeddings_hnsw_{model_id}")
    await owner.execute(f"DROP INDEX embeddings_hnsw_{model_id}")
    await _store(owner, await new_identity(), model_id, theirs, documents=40)
    stored = await _store(owner, me, model_id, ours, documents=DOCUMENTS)
    # Built at once: in a tenth of the time that it takes row by row, and of the same quality.
    await owner.execute(f"SET maintenance_work_mem = '256MB'; {index}; ANALYZE embeddings, chunks, documents")
    await owner.close()
    return Library(
        model_id=model_id,
        ours=ours,
        chunk_ids=[chunk for chunk, _ in stored],
        document_ids=[document for _, document in stored],
        queries=queries,
    )


PLANS = (
    "SELECT",
    "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off",
    "SET LOCAL enable_indexscan = off",
    "SET LOCAL hnsw.max_scan_tuples = 1",
)
"""What the planner likes, through the index, not through it, and through one that gives up at once: statistics,
versions and sizes decide which it is, and the answer must be good by each."""


async def found(
    database: Database, me: NewIdentity, library: Library, query: "np.ndarray", plan: str, only: set[UUID] | None
) -> list[UUID]:
    async with database.transaction(me.tenant_id) as transaction:
        await transaction.driver.execute(plan)
        hits = await search.search(
            transaction,
            query="",
            vector=query,
            model_id=library.model_id,
            dimensions=DIMENSIONS,
            mode=Mode.VECTOR,
            limit=TOP,
            language="english",
            document_ids=None if only is None else sorted(only),
        )
    return [hit.chunk_id for hit in hits]


async def recall(
    database: Database, me: NewIdentity, library: Library, plan: str = "SELECT", only: set[UUID] | None = None
) -> float:
    """The share of the exact ten that the search finds, over all queries. It never gives fewer than there are."""
    hit = 0
    for query in library.queries:
        exact = library.exactly(query, only)
        got = await found(database, me, library, query, plan, only)
        assert len(got) == len(exact) == TOP
        hit += len(set(exact) & set(got))
    return hit / (TOP * len(library.queries))


async def test_a_tenant_with_one_percent_of_the_chunks_finds_its_own(
    app_database: Database, me: NewIdentity, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await recall(app_database, me, library) >= LEAST_RECALL
    monkeypatch.setattr(search, "FEW", 0)  # as if it were a large one
    for plan in PLANS:
        assert await recall(app_database, me, library, plan) >= LEAST_RECALL, plan


async def test_a_search_in_some_documents_finds_what_is_in_them(
    app_database: Database, me: NewIdentity, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = set(sorted(set(library.document_ids))[:2])
    assert await recall(app_database, me, library, only=some) >= LEAST_RECALL
    monkeypatch.setattr(search, "FEW", 0)
    for plan in PLANS:
        assert await recall(app_database, me, library, plan, some) >= LEAST_RECALL, plan


async def test_what_is_not_in_the_index_yet_is_found_beside_what_is(
    app_database: Database, me: NewIdentity, library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning(settings) as owner:
        fresh = await owner.fetch(
            "UPDATE embeddings e SET indexed = false FROM chunks c WHERE e.tenant_id = $1 AND c.tenant_id = $1 "
            "AND c.text_hash = e.text_hash AND c.ordinal % 3 = 0 RETURNING c.id",
            me.tenant_id,
        )
    head = {row["id"] for row in fresh}
    assert OURS / 4 < len(head) < OURS - search.DEPTH  # the index still has enough to answer without a look at all
    monkeypatch.setattr(search, "FEW", 0)
    for plan in PLANS:
        assert await recall(app_database, me, library, plan) >= LEAST_RECALL, plan
        for query in library.queries:
            exact = set(library.exactly(query))
            assert head & exact <= set(await found(app_database, me, library, query, plan, None)), plan


@pytest.mark.parametrize("share", [0.0001, 0.5, 0.9999])
async def test_whatever_statistics_say_of_the_head_both_indexes_are_used(
    app_database: Database, me: NewIdentity, library: Library, settings: Settings, share: float
) -> None:
    async with owning(settings) as owner:
        await owner.execute(
            "UPDATE embeddings SET indexed = false WHERE get_byte(text_hash, 0) < 25; ANALYZE embeddings"
        )
        told = await owner.execute(
            "UPDATE pg_statistic SET stanumbers1 = CASE WHEN stavalues1::text = '{t,f}' THEN ARRAY[1 - $1, $1] "
            "ELSE ARRAY[$1, 1 - $1] END::float4[] WHERE starelid = 'embeddings'::regclass AND staattnum = "
            "(SELECT attnum FROM pg_attribute WHERE attrelid = 'embeddings'::regclass AND attname = 'indexed')",
            share,
        )
        assert told == "UPDATE 1"
    names = {"model_id": library.model_id, "dimensions": DIMENSIONS, "most": search.MOST_EXACT}
    statement = search._IN_INDEX_AND_HEAD.format(**names, which="NOT indexed")
    async with app_database.transaction(me.tenant_id) as transaction:
        await transaction.driver.execute(search._FORCE)
        rows = await transaction.driver.fetch(f"EXPLAIN {statement}", library.queries[0], search.DEPTH, None)
    plan = "\n".join(row[0] for row in rows)
    assert f"Index Scan using embeddings_hnsw_{library.model_id} on embeddings" in plan
    assert "embeddings_head_idx" in plan
    assert "Seq Scan" not in plan


async def test_a_tenant_whose_vectors_are_all_new_finds_them(
    app_database: Database, me: NewIdentity, library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning(settings) as owner:
        await owner.execute("UPDATE embeddings SET indexed = false WHERE tenant_id = $1", me.tenant_id)
    monkeypatch.setattr(search, "_IN_INDEX_AND_HEAD", "nobody looks into an index that has nothing of theirs")
    assert await recall(app_database, me, library) >= NEARLY_ALL
    some = set(sorted(set(library.document_ids))[:2])
    assert await recall(app_database, me, library, only=some) >= NEARLY_ALL


async def _store(
    owner: Any, who: NewIdentity, model_id: int, vectors: "np.ndarray", *, documents: int
) -> list[tuple[UUID, UUID]]:
    """Chunk and document of each vector; the chunks of a document are neighbours."""
    blob, job = new_id(), new_id()
    ids = [new_id() for _ in range(documents)]
    each = -(-len(vectors) // documents)
    await owner.execute("INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, 'x', 1)", blob, who.tenant_id)
    await owner.executemany(
        "INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, language,"
        " chunks) VALUES ($1, $2, $3, $4, $5, 'a book', 'text/plain', 1, 'x', 'english', $6)",
        [(document, who.tenant_id, who.user_id, blob, job, each) for document in ids],
    )
    rows = [
        (new_id(), ids[place // each], hashlib.sha256(vector.tobytes()).digest())
        for place, vector in enumerate(vectors)
    ]
    await owner.copy_records_to_table(
        "embeddings",
        columns=["tenant_id", "model_id", "text_hash", "vector", "bought_for", "indexed"],
        records=[
            (who.tenant_id, model_id, text_hash, HalfVector(vector), job, True)
            for (_, _, text_hash), vector in zip(rows, vectors, strict=True)
        ],
    )
    await owner.executemany(
        "INSERT INTO chunks (id, tenant_id, document_id, ordinal, text, text_hash, first_page, last_page, start_offset,"
        " end_offset, tokens, language) VALUES ($1, $2, $3, $4, 'x', $5, 1, 1, 0, 1, 1, 'english')",
        [(chunk, who.tenant_id, document, place, text_hash) for place, (chunk, document, text_hash) in enumerate(rows)],
    )
    return [(chunk, document) for chunk, document, _ in rows]


def _about(random: np.random.Generator, topics: "np.ndarray", count: int) -> "np.ndarray":
    """Some topics have much more said about them than others."""
    weights = 1 / np.arange(1, TOPICS + 1)
    chosen = topics[random.choice(TOPICS, count, p=weights / weights.sum())]
    return _on_sphere(chosen + _noise(random, count) * SPREAD).astype(np.float16)


def _noise(random: np.random.Generator, count: int) -> "np.ndarray":
    return _on_sphere(random.standard_normal((count, DIMENSIONS)))


def _on_sphere(vectors: "np.ndarray") -> "np.ndarray":
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
