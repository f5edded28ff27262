"""What failed: jobs in the state `failed`, of a tenant, or of one parent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.repositories.plans import by_index

__all__ = ["by_code", "page"]

_COLUMNS = """
    j.id, j.kind, j.parent_id, j.document_id, j.document_name, j.error, j.fence, j.failures, j.crashes, j.size,
    j.created_at, j.finished_at, f.path, r.project_id
"""
_FROM = """
    FROM jobs j LEFT JOIN file_set_files f ON f.file_set_id = $1 AND f.document_id = j.document_id
        LEFT JOIN project_runs r ON r.job_id = j.parent_id
    WHERE j.state = 'failed' AND j.children IS NULL AND j.kind NOT LIKE 'webhook.%'
"""


async def page(
    driver: Driver,
    *,
    limit: int,
    after: UUID | None = None,
    parent_id: UUID | None = None,
    file_set_id: UUID | None = None,
    **wanted: Any,
) -> list[asyncpg.Record]:
    """In the order in which the jobs were made, from the one behind `after`.

    `file_set_id`: in which their paths are looked up. `wanted`: see `_where`.
    """
    values: list[Any] = [file_set_id, limit]
    where = _where(values, parent_id, after=after, **wanted)
    if parent_id is not None:
        await by_index(driver)
    return await driver.fetch(f"SELECT {_COLUMNS} {_FROM} {where} ORDER BY j.id LIMIT $2", *values)


async def by_code(driver: Driver, *, parent_id: UUID | None = None, **wanted: Any) -> dict[str, int]:
    """How many there are with each code, the most frequent first."""
    values: list[Any] = []
    where = _where(values, parent_id, **wanted)
    rows = await driver.fetch(
        "SELECT coalesce(j.error ->> 'code', 'unknown') AS code, count(*) AS jobs FROM jobs j "
        f"WHERE j.state = 'failed' AND j.children IS NULL AND j.kind NOT LIKE 'webhook.%' {where} "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        *values,
    )
    return {row["code"]: row["jobs"] for row in rows}


def _where(
    values: list[Any],
    parent_id: UUID | None,
    *,
    after: UUID | None = None,
    code: str | None = None,
    kind: str | None = None,
    user_id: UUID | None = None,
    failed_after: datetime | None = None,
    failed_before: datetime | None = None,
) -> str:
    """Appends what is not None to the values; returns the conditions on it."""
    found = ""
    for condition, value in (
        ("j.parent_id =", parent_id),
        ("j.id >", after),
        ("j.error ->> 'code' =", code),
        ("j.kind =", kind),
        ("j.user_id =", user_id),
        ("j.finished_at >", failed_after),
        ("j.finished_at <", failed_before),
    ):
        if value is not None:
            values.append(value)
            found += f" AND {condition} ${len(values)}"
    return found
