"""Finding passages: by meaning (vectors), by words (full text), or both, fused by reciprocal rank."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import asyncpg
import numpy as np

from arqueduct.database import Transaction

__all__ = ["Hit", "Mode", "Ranked", "documents_of", "fuse", "mark", "rank", "search"]

RANK_CONSTANT = 60
"""Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion": small effect between 30 and 100."""

CANDIDATES = 4
"""Of each ranking, this many times the limit go into the fusion: a passage in the middle of both can win."""

DEPTH = 100
"""And at least so many: up to a limit of 25 the first hits are the same, whatever the limit (docs/decisions/0018), and
an index that gives up early has at least looked further than what is asked for."""

EF_SEARCH = 100
"""Width of the HNSW search; recall@10 above 0.95 on unfiltered vectors of this size."""

FEW = 5_000
"""Vectors of a tenant in the index, or chunks of the documents that are named, that are compared one by one at once:
exact, and quicker (5 to 20 ms) than an index that must pass over everybody else's vectors (30 ms where they are 99 in
100)."""

MOST_EXACT = 100_000
"""Up to this many vectors, or chunks of documents that are named, are compared one by one where the index gave too
few; half a second."""

START, STOP = "\x02", "\x03"
"""Marks round found words, from Postgres to here: a text that has them itself gets an odd mark and nothing worse."""


class Mode(StrEnum):
    """Which rankings are asked."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A passage that answers a query."""

    document_id: UUID
    document_name: str
    chunk_id: UUID
    text: str
    highlight: str
    """HTML: escaped text with found words in `<mark>`."""
    pages: tuple[int, int]
    heading: str | None
    score: float
    """Sum of 1 / (60 + rank) over the rankings; comparable within one answer only."""
    ranks: dict[str, int]
    """1 … in each ranking that found it."""


class Ranked(NamedTuple):
    """A passage and why it stands where it does; see `Hit`."""

    chunk_id: UUID
    score: float
    ranks: dict[str, int]


async def search(
    transaction: Transaction,
    *,
    query: str,
    vector: "np.ndarray | None",
    model_id: int,
    dimensions: int,
    mode: Mode,
    limit: int,
    language: str,
    document_ids: Sequence[UUID] | None = None,
) -> list[Hit]:
    """The best `limit` passages of the transaction's tenant. `vector` is needed for every mode but `text`."""
    best = await rank(
        transaction,
        query=query,
        vector=vector,
        model_id=model_id,
        dimensions=dimensions,
        mode=mode,
        limit=limit,
        language=language,
        document_ids=document_ids,
    )
    rows = await _read(transaction, [ranked.chunk_id for ranked in best], query, language)
    return [_hit(rows[ranked.chunk_id], ranked) for ranked in best if ranked.chunk_id in rows]


async def rank(
    transaction: Transaction,
    *,
    query: str,
    vector: "np.ndarray | None",
    model_id: int,
    dimensions: int,
    mode: Mode,
    limit: int,
    language: str,
    document_ids: Sequence[UUID] | None = None,
) -> list[Ranked]:
    """As `search`, without reading the passages."""
    wanted = max(DEPTH, limit * CANDIDATES)
    rankings: dict[str, list[UUID]] = {}
    if mode is not Mode.TEXT and vector is not None:
        rankings["vector"] = await _by_meaning(transaction, vector, model_id, dimensions, wanted, document_ids)
    if mode is not Mode.VECTOR:
        rankings["text"] = await _by_words(transaction, query, wanted, language, document_ids)
    return fuse(rankings)[:limit]


async def documents_of(transaction: Transaction, chunk_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The document of each passage that is there."""
    rows = await transaction.driver.fetch(
        "SELECT id, document_id FROM chunks WHERE id = ANY ($1::uuid[])", list(chunk_ids)
    )
    return {row["id"]: row["document_id"] for row in rows}


def fuse(rankings: Mapping[str, Iterable[UUID]]) -> list[Ranked]:
    """All that is in a ranking, best first; equal scores in the order of ids."""
    ranks: dict[UUID, dict[str, int]] = {}
    for name, ranking in rankings.items():
        for place, found in enumerate(ranking, 1):
            ranks.setdefault(found, {})[name] = place
    scored = [
        Ranked(found, sum(1 / (RANK_CONSTANT + place) for place in places.values()), places)
        for found, places in ranks.items()
    ]
    return sorted(scored, key=lambda entry: (-entry.score, entry.chunk_id))


def mark(headline: str, text: str) -> str:
    """HTML of a headline of a text: escaped, the found words in `<mark>`, and an ellipsis where the text goes on."""
    whole, shown = (" ".join(part.split()) for part in (text, headline.replace(START, "").replace(STOP, "")))
    before = "" if whole.startswith(shown) else "… "
    behind = "" if whole.endswith(shown) else " …"
    marked = html.escape(headline).replace(START, "<mark>").replace(STOP, "</mark>")
    return f"{before}{marked}{behind}"


# The index knows no tenants. Iterative scans go on until enough of this tenant's came by, but not for ever. In strict
# order they drop what they come by too late, which cost a tenth of the recall.
# The planner knows neither how large this tenant is among the others, nor at once what came or was merged. Where it
# guessed wrong it read and sorted all that the tenant has, for seconds.
_FORCE = f"""
    SET LOCAL hnsw.iterative_scan = 'relaxed_order'; SET LOCAL hnsw.ef_search = {EF_SEARCH};
    SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off
"""
_UNFORCE = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_sort TO DEFAULT"

# OFFSET 0: for a vector in hand, never the other way round.
_FOUND = """
    SELECT c.id FROM chunks c
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL AND d.archived_at IS NULL
    WHERE c.tenant_id = {of}.tenant_id AND c.text_hash = {of}.text_hash
        AND ($3::uuid[] IS NULL OR c.document_id = ANY ($3))
    OFFSET 0
"""

_IN_INDEX = f"""
    SELECT c.id, nearest.distance FROM (
        SELECT e.tenant_id, e.text_hash, e.vector::halfvec({{dimensions}}) <=> $1::halfvec({{dimensions}}) AS distance
        FROM embeddings e
        WHERE e.model_id = {{model_id}} AND e.indexed AND EXISTS ({_FOUND.format(of="e")})
        ORDER BY e.vector::halfvec({{dimensions}}) <=> $1::halfvec({{dimensions}})
        LIMIT $2
    ) nearest
    CROSS JOIN LATERAL ({_FOUND.format(of="nearest")}) c
    ORDER BY nearest.distance, c.id
    LIMIT $2
"""

_ONE_BY_ONE = f"""
    SELECT c.id, ordered.distance FROM (
        SELECT e.tenant_id, e.text_hash, e.vector::halfvec({{dimensions}}) <=> $1::halfvec({{dimensions}}) AS distance
        FROM (SELECT * FROM embeddings WHERE model_id = {{model_id}} AND {{which}} LIMIT {{most}}) e
        ORDER BY distance
    ) ordered
    CROSS JOIN LATERAL ({_FOUND.format(of="ordered")}) c
    ORDER BY ordered.distance, c.id
    LIMIT $2
"""

# In one statement, so that a vector that is being moved into the index is in exactly one of both.
_IN_INDEX_AND_HEAD = f"""
    SELECT id, indexed FROM (
        (SELECT id, distance, true AS indexed FROM ({_IN_INDEX}) i)
        UNION ALL
        (SELECT id, distance, false FROM ({_ONE_BY_ONE}) h)
    ) b
    ORDER BY distance, id
"""

_IS_SMALL = """
    SELECT CASE WHEN $1::uuid[] IS NULL
        THEN (SELECT count(*) FROM (SELECT FROM embeddings WHERE model_id = {model_id} AND indexed LIMIT {few} + 1) e)
        ELSE (
            SELECT coalesce(sum(chunks), 0) FROM documents
            WHERE id = ANY ($1) AND deleted_at IS NULL AND archived_at IS NULL
        )
    END <= {few}
"""

_IN_DOCUMENTS = """
    WITH inside AS MATERIALIZED (
        SELECT c.id, c.text_hash FROM chunks c
        JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL AND d.archived_at IS NULL
        WHERE c.document_id = ANY ($3::uuid[]) LIMIT {most}
    )
    SELECT inside.id FROM inside
    JOIN embeddings e ON e.text_hash = inside.text_hash AND e.model_id = {model_id}
    ORDER BY e.vector::halfvec({dimensions}) <=> $1::halfvec({dimensions}), inside.id
    LIMIT $2
"""

_READ = """
    SELECT c.id, c.document_id, d.name, c.text, c.first_page, c.last_page, c.heading,
        ts_headline($2::text::regconfig, c.text, as_question($2::text::regconfig, $3), $4) AS headline
    FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.id = ANY ($1::uuid[])
"""

_HEADLINE = f"StartSel={START}, StopSel={STOP}, MaxWords=45, MinWords=20, MaxFragments=1"


async def _by_meaning(
    transaction: Transaction,
    vector: "np.ndarray",
    model_id: int,
    dimensions: int,
    wanted: int,
    document_ids: Sequence[UUID] | None,
) -> list[UUID]:
    names = {"model_id": int(model_id), "dimensions": int(dimensions), "most": MOST_EXACT, "few": FEW}
    chosen = None if document_ids is None else list(document_ids)
    driver = transaction.driver
    await driver.execute(_FORCE)
    rows: list[asyncpg.Record] = []
    if not await driver.fetchval(_IS_SMALL.format(**names), chosen):
        rows = await driver.fetch(_IN_INDEX_AND_HEAD.format(**names, which="NOT indexed"), vector, wanted, chosen)
    if sum(row["indexed"] for row in rows) < wanted:
        # A tenant that is small, or far from what is asked, is looked through one by one.
        exactly = _ONE_BY_ONE if chosen is None else _IN_DOCUMENTS
        rows = await driver.fetch(exactly.format(**names, which="true"), vector, wanted, chosen)
    await driver.execute(_UNFORCE)
    return [row["id"] for row in rows[:wanted]]


async def _by_words(
    transaction: Transaction, query: str, wanted: int, language: str, document_ids: Sequence[UUID] | None
) -> list[UUID]:
    rows = await transaction.driver.fetch(
        "SELECT chunk_id FROM search_text($1::text::regconfig, $2, $3, $4)",
        language,
        query,
        wanted,
        None if document_ids is None else list(document_ids),
    )
    return [row["chunk_id"] for row in rows]


async def _read(transaction: Transaction, ids: Sequence[UUID], query: str, language: str) -> dict[UUID, asyncpg.Record]:
    rows = await transaction.driver.fetch(_READ, list(ids), language, query, _HEADLINE)
    return {row["id"]: row for row in rows}


def _hit(row: asyncpg.Record, ranked: Ranked) -> Hit:
    return Hit(
        document_id=row["document_id"],
        document_name=row["name"],
        chunk_id=row["id"],
        text=row["text"],
        highlight=mark(row["headline"], row["text"]),
        pages=(row["first_page"], row["last_page"]),
        heading=row["heading"],
        score=round(ranked.score, 6),
        ranks=ranked.ranks,
    )
