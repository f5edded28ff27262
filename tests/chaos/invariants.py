"""What must hold once nothing is under way, asked of Postgres as the owner of the tables.

broken = await invariants.check(connection)
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from tests.chaos.documents import kind_of, without_serials

__all__ = ["Broken", "Chunks", "check", "chunks_by_kind", "missing", "unlike"]

Chunks = tuple[str, ...]
"""The texts of a document's chunks in order, without serials."""

FINAL = "('completed', 'partially_completed', 'failed', 'cancelled')"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A rule, and the jobs or documents that break it."""

    rule: str
    ids: list[str]
    doubles: bool = False
    """Something was done twice; else something was lost, or left behind."""


LOST = {
    "every job is final": f"SELECT id FROM jobs WHERE state NOT IN {FINAL}",
    "no job holds a lease": "SELECT id FROM jobs WHERE lease_owner IS NOT NULL OR lease_until IS NOT NULL",
    "the last event of a job tells its state and its seq": """
        SELECT j.id FROM jobs j
        LEFT JOIN LATERAL (SELECT * FROM job_events e WHERE e.job_id = j.id ORDER BY seq DESC LIMIT 1) e ON true
        WHERE (e.seq, e.state, e.attempt) IS DISTINCT FROM (j.seq, j.state, j.fence)
    """,
    "seq grows with time": """
        SELECT DISTINCT job_id FROM (
            SELECT job_id, created_at < lag(created_at) OVER (PARTITION BY job_id ORDER BY seq) AS is_back
            FROM job_events
        ) e WHERE is_back
    """,
    "fence grows with seq": """
        SELECT DISTINCT job_id FROM (
            SELECT job_id, attempt < lag(attempt) OVER (PARTITION BY job_id ORDER BY seq) AS is_back FROM job_events
        ) e WHERE is_back
    """,
    "the fence counts every claim": """
        SELECT j.id FROM jobs j JOIN job_attempts a ON a.job_id = j.id
        GROUP BY j.id HAVING j.fence < greatest(count(*), max(a.attempt))
    """,
    "no attempt is left open": f"""
        SELECT a.job_id FROM job_attempts a JOIN jobs j ON j.id = a.job_id
        WHERE a.ended_at IS NULL AND j.state IN {FINAL}
    """,
    "a completed document has its chunks, from 0 on without a gap": """
        SELECT d.id FROM documents d JOIN jobs j ON j.id = d.job_id LEFT JOIN chunks c ON c.document_id = d.id
        WHERE j.state = 'completed' AND d.deleted_at IS NULL
        GROUP BY d.id HAVING d.chunks IS NULL OR count(c.id) < d.chunks
            OR min(c.ordinal) <> 0 OR max(c.ordinal) <> count(c.id) - 1
    """,
    "every chunk has its vector": """
        SELECT DISTINCT c.document_id FROM chunks c WHERE NOT EXISTS (
            SELECT FROM embeddings e WHERE e.tenant_id = c.tenant_id AND e.text_hash = c.text_hash)
    """,
    "every document has its blob": """
        SELECT d.id FROM documents d WHERE NOT EXISTS (SELECT FROM blobs b WHERE b.id = d.blob_id)
    """,
    "every deletion is finished": "SELECT document_id FROM deletions",
}

DOUBLED = {
    "a run ends once": f"""
        SELECT DISTINCT job_id FROM (
            SELECT job_id, state, lag(state) OVER (PARTITION BY job_id ORDER BY seq) AS before FROM job_events
        ) e WHERE before IN {FINAL} AND state <> 'queued'
    """,
    "a completed job has one completed attempt, of its own fence": """
        SELECT j.id FROM jobs j LEFT JOIN job_attempts a ON a.job_id = j.id AND a.outcome = 'completed'
        WHERE j.state = 'completed'
        GROUP BY j.id HAVING count(a.attempt) <> 1 OR max(a.attempt) <> j.fence
    """,
    "only completed jobs have a completed attempt": """
        SELECT j.id FROM jobs j JOIN job_attempts a ON a.job_id = j.id
        WHERE a.outcome = 'completed' AND j.state <> 'completed'
    """,
    "a document has no more chunks than it says": """
        SELECT d.id FROM documents d JOIN chunks c ON c.document_id = d.id
        GROUP BY d.id HAVING d.chunks IS NULL OR count(c.id) > d.chunks
    """,
    "only completed documents have chunks": """
        SELECT DISTINCT d.id FROM documents d JOIN jobs j ON j.id = d.job_id JOIN chunks c ON c.document_id = d.id
        WHERE j.state <> 'completed'
    """,
    "no chunk is of a deleted document": """
        SELECT DISTINCT c.document_id FROM chunks c LEFT JOIN documents d ON d.id = c.document_id
        WHERE d.id IS NULL OR d.deleted_at IS NOT NULL
    """,
}


async def check(connection: asyncpg.Connection) -> list[Broken]:
    """Every rule that does not hold; call it when nothing is under way any more."""
    found = []
    for rules, doubles in ((LOST, False), (DOUBLED, True)):
        for rule, query in rules.items():
            if rows := await connection.fetch(query):
                found.append(Broken(rule=rule, ids=sorted(str(row[0]) for row in rows), doubles=doubles))
    return found


async def missing(connection: asyncpg.Connection, table: str, promised: Collection[UUID]) -> list[str]:
    """Those of the promised ids that a table does not have."""
    query = f"SELECT id FROM unnest($1::uuid[]) AS p(id) WHERE NOT EXISTS (SELECT FROM {table} t WHERE t.id = p.id)"
    return sorted(str(row["id"]) for row in await connection.fetch(query, list(promised)))


async def chunks_by_kind(connection: asyncpg.Connection, tenant_id: UUID) -> dict[str, Chunks]:
    """What came of one document of each kind."""
    return {kind_of(name): chunks for name, chunks in (await _chunks(connection, tenant_id)).values()}


async def unlike(connection: asyncpg.Connection, tenant_id: UUID, calm: Mapping[str, Chunks]) -> list[str]:
    """Completed documents whose chunks are not those that the same content had on a calm day."""
    found = await _chunks(connection, tenant_id)
    return sorted(str(document_id) for document_id, (name, chunks) in found.items() if calm[kind_of(name)] != chunks)


async def _chunks(connection: asyncpg.Connection, tenant_id: UUID) -> dict[UUID, tuple[str, Chunks]]:
    rows = await connection.fetch(
        """
        SELECT d.id, d.name, array_agg(c.text ORDER BY c.ordinal) FILTER (WHERE c.id IS NOT NULL) AS texts
        FROM documents d JOIN jobs j ON j.id = d.job_id LEFT JOIN chunks c ON c.document_id = d.id
        WHERE d.tenant_id = $1 AND j.state = 'completed' AND d.deleted_at IS NULL GROUP BY d.id
        """,
        tenant_id,
    )
    return {row["id"]: (row["name"], tuple(map(without_serials, row["texts"] or ()))) for row in rows}
