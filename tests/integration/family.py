"""A parent with children, made as the API makes them, and what a recount of its children finds."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from arqueduct.database import Database, Driver
from arqueduct.families import Counts, Policy
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories import children
from arqueduct.repositories.children import BATCH, Brood
from arqueduct.repositories.parents import Tally

# One statement sees one moment, whatever happens beside it.
BOTH = """
    SELECT to_jsonb(told) AS told, to_jsonb(found) AS found,
        (SELECT jsonb_object_agg(code, jobs) FROM (
            SELECT code, sum(jobs)::int AS jobs FROM (
                SELECT code, jobs FROM child_errors WHERE parent_id = $1
                UNION ALL SELECT code_in, 1 FROM child_deltas WHERE parent_id = $1 AND code_in IS NOT NULL
                UNION ALL SELECT code_out, -1 FROM child_deltas WHERE parent_id = $1 AND code_out IS NOT NULL
            ) c GROUP BY code HAVING sum(jobs) <> 0
        ) t) AS codes_told,
        (SELECT jsonb_object_agg(code, jobs) FROM (
            SELECT error ->> 'code' AS code, count(*) AS jobs FROM jobs
            WHERE parent_id = $1 AND state = 'failed' GROUP BY 1
        ) f) AS codes_found
    FROM parents_now told, (
        SELECT count(*) AS total,
            count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'running') AS running,
            count(*) FILTER (WHERE state = 'paused') AS paused,
            count(*) FILTER (WHERE state = 'completed') AS completed,
            count(*) FILTER (WHERE state = 'failed') AS failed,
            count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
            coalesce(sum(weight), 0) AS weight, coalesce(sum(work_done(weight, state, progress)), 0) AS work,
            coalesce(sum(size), 0) AS size, coalesce(sum(size) FILTER (WHERE state = 'completed'), 0) AS size_done,
            coalesce(sum(pages), 0) AS pages, coalesce(sum(chunks), 0) AS chunks, coalesce(sum(tokens), 0) AS tokens,
            coalesce(sum(embedding_requests), 0) AS embedding_requests, coalesce(sum(cache_hits), 0) AS cache_hits
        FROM jobs WHERE parent_id = $1
    ) found WHERE told.job_id = $1
"""


async def some_documents(driver: Driver, me: NewIdentity, count: int) -> list[UUID]:
    """Rows of documents that no job has seen; their bytes are nowhere."""
    blob, ids, jobs = new_id(), [new_id() for _ in range(count)], [new_id() for _ in range(count)]
    await driver.execute(
        "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, $3, 1000)", blob, me.tenant_id, str(blob)
    )
    await driver.execute(
        "INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, language) "
        "SELECT new.id, $3, $4, $5, new.job_id, 'file ' || n, 'text/plain', 1000 + n, 'x', 'english' "
        "FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS new(id, job_id, n)",
        ids,
        jobs,
        me.tenant_id,
        me.user_id,
        blob,
    )
    return ids


async def family(
    database: Database, me: NewIdentity, count: int, *, kind: str = "document.ingest", policy: Policy | None = None
) -> UUID:
    """The parent of a batch of so many."""
    async with database.transaction(me.tenant_id) as transaction:
        documents = await some_documents(transaction.driver, me, count)
        brood = Brood(
            tenant_id=me.tenant_id,
            user_id=me.user_id,
            parent_kind=BATCH,
            name="a batch",
            kind=kind,
            document_ids=documents,
            policy=policy or Policy(),
        )
        return UUID(str((await children.plant(transaction.driver, brood))["id"]))


async def children_of(database: Database, me: NewIdentity, parent_id: UUID) -> Sequence[UUID]:
    async with database.transaction(me.tenant_id) as transaction:
        rows = await transaction.driver.fetch("SELECT id FROM jobs WHERE parent_id = $1 ORDER BY id", parent_id)
    return [row["id"] for row in rows]


async def assert_counted(database: Database, me: NewIdentity, parent_id: UUID) -> Tally:
    """What the counters say, folded or not, is what the rows say; returns it."""
    async with database.transaction(me.tenant_id) as transaction:
        row = await transaction.driver.fetchrow(BOTH, parent_id)
    assert row is not None
    told = Tally.of(row["told"])
    assert told == Tally.of(row["found"])
    assert row["told"]["total"] == row["found"]["total"]
    assert row["codes_told"] == row["codes_found"]
    return told


def counts_of(details: dict[str, Any]) -> Counts:
    return Counts(**{field.name: details[field.name] for field in fields(Counts)})
