"""Which documents are meant: by what they have in common, or by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from arqueduct.database import Driver

__all__ = ["DocumentFilter", "chosen", "there"]


@dataclass(frozen=True, kw_only=True)
class DocumentFilter:
    """What is None does not matter."""

    statuses: Sequence[str] | None = None
    """States of their jobs; `uploaded` for those without one."""
    content_types: Sequence[str] | None = None
    file_set_id: UUID | None = None
    project_id: UUID | None = None
    """Those of its newest run."""
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    archived: bool | None = None
    is_idle: bool | None = None
    """No job of theirs is unfinished that their status comes from."""


_CONDITIONS = {
    "statuses": "coalesce(j.state, 'uploaded') = ANY ({}::text[])",
    "content_types": "d.content_type = ANY ({}::text[])",
    "file_set_id": "EXISTS (SELECT FROM file_set_files f WHERE f.file_set_id = {} AND f.document_id = d.id)",
    "project_id": (
        "EXISTS (SELECT FROM projects p JOIN jobs c ON c.parent_id = p.job_id WHERE p.id = {} AND c.document_id = d.id)"
    ),
    "error_code": "j.error ->> 'code' = {}",
    "created_after": "d.created_at > {}",
    "created_before": "d.created_at < {}",
    "is_idle": "(j.id IS NULL OR j.finished_at IS NOT NULL) = {}",
    "archived": "(d.archived_at IS NOT NULL) = {}",
}


async def chosen(driver: Driver, wanted: DocumentFilter, *, limit: int) -> list[UUID]:
    """Documents that fit, the oldest first."""
    values: list[Any] = [limit]
    where = ""
    for name, condition in _CONDITIONS.items():
        value = getattr(wanted, name)
        if value is not None:
            values.append(value)
            where += f" AND {condition.format(f'${len(values)}')}"
    rows = await driver.fetch(
        "SELECT d.id FROM documents d LEFT JOIN jobs j ON j.id = d.job_id WHERE d.deleted_at IS NULL "
        f"{where} ORDER BY d.id LIMIT $1",
        *values,
    )
    return [row["id"] for row in rows]


async def there(driver: Driver, document_ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Which of these the tenant has, and whether they are archived."""
    rows = await driver.fetch(
        "SELECT id, archived_at IS NOT NULL AS is_archived FROM documents "
        "WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL",
        document_ids,
    )
    return {row["id"]: row["is_archived"] for row in rows}
