"""What failed: jobs in the state `failed`, of a tenant, or of one parent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.repositories.plans import by_index

__all__ = ["by_code", "page_of_parent", "page_of_tenant"]

_FAILED = "j.state = 'failed' AND j.children IS NULL AND j.kind NOT LIKE 'webhook.%'"
_COLUMNS = """
    j.id, j.kind, j.parent_id, j.document_id, j.document_name, j.error, j.fence, j.failures, j.crashes, j.size,
    j.created_at, j.finished_at
"""
# Paths and projects are looked up for what is shown, and for nothing else.
_PAGE = f"""
    SELECT j.*, f.path, r.project_id FROM (
        SELECT {_COLUMNS} FROM jobs j WHERE {_FAILED} {{where}} ORDER BY {{order}} LIMIT $2
    ) j LEFT JOIN file_set_files f ON f.file_set_id = $1 AND f.document_id = j.document_id
        LEFT JOIN project_runs r ON r.job_id = j.parent_id
    ORDER BY {{order}}
"""


async def page_of_parent(
    driver: Driver,
    parent_id: UUID,
    *,
    limit: int,
    after: UUID | None = None,
    file_set_id: UUID | None = None,
    **wanted: Any,
) -> list[asyncpg.Record]:
    """In the order in which the jobs were made, from the one behind `after`.

    `file_set_id`: in which their paths are looked up. `wanted`: see `_where`.
    """
    values: list[Any] = [file_set_id, limit]
    where = _where(values, parent_id, **wanted)
    if after is not None:
        values.append(after)
        where += f" AND j.id > ${len(values)}"
    await by_index(driver)
    return await driver.fetch(_PAGE.format(where=where, order="j.id"), *values)


async def page_of_tenant(
    driver: Driver, *, limit: int, before: tuple[datetime, UUID] | None = None, **wanted: Any
) -> list[asyncpg.Record]:
    """What failed last comes first, from the one that comes behind the job that failed then. `wanted`: see `_where`."""
    values: list[Any] = [None, limit]
    where = _where(values, None, **wanted)
    if before is not None:
        values.extend(before)
        where += f" AND (j.finished_at, j.id) < (${len(values) - 1}, ${len(values)})"
    await by_index(driver)
    return await driver.fetch(_PAGE.format(where=where, order="j.finished_at DESC, j.id DESC"), *values)


async def by_code(driver: Driver, *, parent_id: UUID | None = None, **wanted: Any) -> dict[str, int]:
    """How many there are with each code, the most frequent first."""
    values: list[Any] = []
    where = _where(values, parent_id, **wanted)
    rows = await driver.fetch(
        "SELECT coalesce(j.error ->> 'code', 'unknown') AS code, count(*) AS jobs FROM jobs j "
        f"WHERE {_FAILED} {where} "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        *values,
    )
    return {row["code"]: row["jobs"] for row in rows}


def _where(
    values: list[Any],
    parent_id: UUID | None,
    *,
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
