"""Jobs in any state, by the hundred, as rows that no worker knows of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.settings import Settings

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_INSERT = """
    INSERT INTO jobs (id, tenant_id, user_id, kind, state, stage, error, document_id, fence, lease_owner, lease_until,
        finished_at, created_at)
    SELECT id, $2, $3, $4, $5, $5,
        CASE WHEN $6::text IS NOT NULL THEN jsonb_build_object('code', $6, 'message', 'x') END,
        $7, CASE WHEN $5 = 'queued' THEN 0 ELSE 1 END,
        CASE WHEN $5 = 'running' THEN 'nobody' END, CASE WHEN $5 = 'running' THEN now() + interval '1 hour' END,
        CASE WHEN $5 IN ('queued', 'running', 'paused') THEN NULL ELSE now() END, now() - $8::float8 * interval '1 s'
    FROM unnest($1::uuid[]) AS wanted(id)
"""


@asynccontextmanager
async def owning(settings: Settings) -> AsyncIterator[Owner]:
    """The database as its owner: sees every tenant."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        await connection.close()


async def insert_many(
    owner: Owner,
    me: NewIdentity,
    state: str,
    count: int = 1,
    *,
    kind: str = "document.ingest",
    error_code: str | None = None,
    document_id: UUID | None = None,
    age: float = 0,
) -> list[str]:
    """The ids, as JSON has them. `age`: seconds since they were created."""
    ids = [new_id() for _ in range(count)]
    await owner.execute(_INSERT, ids, me.tenant_id, me.user_id, kind, state, error_code, document_id, age)
    return [str(job_id) for job_id in ids]


async def states(owner: Owner, ids: list[str]) -> dict[str, int]:
    """How many of the jobs are in which state; `asked` for those that were told to stop."""
    rows = await owner.fetch(
        "SELECT CASE WHEN cancel_requested OR pause_requested THEN 'asked' ELSE state END AS state, count(*) "
        "FROM jobs WHERE id = ANY ($1) GROUP BY 1",
        ids,
    )
    return {row["state"]: row["count"] for row in rows}


async def set_rule(owner: Owner, scope: str, name: Any, **fields: Any) -> None:
    """A line of `queue_rules`."""
    columns = ", ".join(fields)
    values = ", ".join(f"${number}" for number in range(3, len(fields) + 3))
    await owner.execute(
        f"INSERT INTO queue_rules (scope, name, {columns}) VALUES ($1, $2, {values})",
        scope,
        str(name),
        *fields.values(),
    )


async def is_waited_for(settings: Settings, many: int) -> bool:
    """Whether so many statements wait for locks that others have."""
    async with owning(settings) as owner:
        waiting: int = await owner.fetchval(
            "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database())"
        )
    return waiting >= many
