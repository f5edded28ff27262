"""What failed, where, why, and what to do: as JSON in pages, or as a CSV file in one piece."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from arqueduct.database import Driver, Transaction
from arqueduct.errors import InvalidCursor, NotFound
from arqueduct.repositories import failures, parents
from arqueduct_backend import cursors
from arqueduct_backend.pages import page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.schemas import Answer
from arqueduct_backend.spreadsheet import cell
from arqueduct_backend.state import State

__all__ = ["ANSWERS", "CodeQuery", "ErrorReport", "FailedJob", "Form", "Wanted", "answer", "report"]

LINES = 500
"""Read at a time while a file is written."""

Form = Annotated[Literal["json", "csv"], Query(alias="format", description="`csv`: a file with all lines at once.")]
CodeQuery = Annotated[
    str | None, Query(pattern=r"^[a-z0-9_]{1,100}$", description="Only this code.", examples=["document_encrypted"])
]
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    **answers(NotFound, InvalidCursor),
}


class FailedJob(Answer):
    """One job that failed."""

    job_id: UUID
    kind: str = Field(examples=["document.ingest"])
    project_id: UUID | None
    document_id: UUID | None
    name: str | None = Field(examples=["handbook.pdf"])
    path: str | None = Field(examples=["2026/handbook.pdf"])
    """Within the file set of the project that was asked for."""
    stage: str | None = Field(examples=["extracting"])
    """Where it failed."""
    code: str = Field(examples=["document_encrypted"])
    message: str | None = Field(examples=["The file is protected by a password."])
    advice: str | None
    """What to do."""
    retryable: bool
    """Whether trying again can help without a change."""
    attempts: int
    failed_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> "FailedJob":
        error = row["error"] or {}
        return cls.model_validate(
            {
                **{name: row[name] for name in ("kind", "project_id", "document_id", "path")},
                "job_id": row["id"],
                "name": row["document_name"],
                "stage": error.get("stage"),
                "code": error.get("code", "unknown"),
                "message": error.get("message"),
                "advice": error.get("advice"),
                "retryable": bool(error.get("retryable")),
                "attempts": row["fence"],
                "failed_at": row["finished_at"],
            }
        )


class ErrorReport(Answer):
    """Failed jobs: of a project or a batch in the order in which they were made, of a tenant what failed last first."""

    after: datetime | None
    """What failed later than this is told; null: all of the project or batch."""
    by_code: dict[str, int] | None = Field(examples=[{"document_encrypted": 2}])
    """How many there are of each, over all pages. Only on the first page; null on those behind a cursor."""
    items: list[FailedJob]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which failures; what is None does not matter."""

    parent_id: UUID | None = None
    code: str | None = None
    kind: str | None = None
    user_id: UUID | None = None
    failed_after: datetime | None = None
    failed_before: datetime | None = None
    file_set_id: UUID | None = None
    """In which paths are looked up."""

    @property
    def conditions(self) -> dict[str, Any]:
        names = ("code", "kind", "user_id", "failed_after", "failed_before")
        return {name: getattr(self, name) for name in names}


async def answer(
    services: State,
    transaction: Transaction,
    tenant_id: UUID,
    wanted: Wanted,
    form: str,
    limit: int,
    cursor: str | None,
) -> ErrorReport | Response:
    """A page of the report, or the file. Raises `InvalidCursor`."""
    if form == "csv":
        return StreamingResponse(
            _lines(services, tenant_id, wanted),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="errors-{datetime.now(UTC):%Y-%m-%d}.csv"'},
        )
    return await report(transaction.driver, wanted, limit, cursor)


async def report(driver: Driver, wanted: Wanted, limit: int, cursor: str | None = None) -> ErrorReport:
    """A page. Raises `InvalidCursor`."""
    found = await _page(driver, wanted, limit + 1, cursor)
    page = page_of(found, limit, FailedJob.of, lambda last: _cursor(wanted, last))
    by_code = await _by_code(driver, wanted) if cursor is None else None
    return ErrorReport(after=wanted.failed_after, by_code=by_code, items=page.items, next_cursor=page.next_cursor)


async def _page(driver: Driver, wanted: Wanted, limit: int, cursor: str | None) -> list[asyncpg.Record]:
    """Raises `InvalidCursor`."""
    if wanted.parent_id is None:
        before = cursors.moment_of("failures", cursor)
        return await failures.page_of_tenant(driver, limit=limit, before=before, **wanted.conditions)
    after = cursors.id_of("errors", cursor)
    return await failures.page_of_parent(
        driver, wanted.parent_id, limit=limit, after=after, file_set_id=wanted.file_set_id, **wanted.conditions
    )


def _cursor(wanted: Wanted, last: asyncpg.Record) -> str:
    if wanted.parent_id is None:
        return cursors.of_moment("failures", last["finished_at"], last["id"])
    return cursors.of("errors", last["id"])


async def _by_code(driver: Driver, wanted: Wanted) -> dict[str, int]:
    """Of all children of a parent as they are counted already; else by counting."""
    if wanted.parent_id is not None and wanted == Wanted(parent_id=wanted.parent_id, file_set_id=wanted.file_set_id):
        return await parents.errors(driver, wanted.parent_id)
    return await failures.by_code(driver, parent_id=wanted.parent_id, **wanted.conditions)


async def _lines(services: State, tenant_id: UUID, wanted: Wanted) -> AsyncIterator[str]:
    """A part of the file at a time. Nothing is held in Postgres while a slow reader takes one."""
    cursor: str | None = None
    yield _csv([list(FailedJob.model_fields)])
    while True:
        async with services.database.transaction(tenant_id) as transaction:
            found = await _page(transaction.driver, wanted, LINES, cursor)
        if found:
            yield _csv([cell(value) for value in FailedJob.of(row).model_dump().values()] for row in found)
        if len(found) < LINES:
            return
        cursor = _cursor(wanted, found[-1])


def _csv(lines: Iterable[Iterable[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(lines)
    return file.getvalue()
