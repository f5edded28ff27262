"""The audit log: who did what in the tenant, or tried to."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import StreamingResponse

from arqueduct.errors import DependencyUnavailable, InvalidCursor, InvalidRequest, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct.repositories import audit
from arqueduct.repositories.audit import Outcome, Sought
from arqueduct_backend import cursors
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.budgets import Budget, budget
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.overseeing import Moment
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.people import AuditLine
from arqueduct_backend.problems import answers
from arqueduct_backend.schemas import Page
from arqueduct_backend.spreadsheet import cell
from arqueduct_backend.state import State

__all__ = ["lines_of", "router"]

router = APIRouter(
    prefix="/audit", tags=["audit"], responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable)
)

LINES = 500
"""In memory at a time; about 300 kB."""
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8; header=present", "jsonl": "application/jsonl; charset=utf-8"}
COLUMNS = tuple(AuditLine.model_fields)


def _sought(
    action: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_ -]{1,100}$", examples=["delete_document"])] = None,
    user_id: UUID | None = None,
    outcome: Outcome | None = None,
    target: Annotated[
        str | None,
        Query(
            pattern=r"^/[^\x00-\x1f\x7f]{0,300}$",
            description="How the path begins.",
            examples=["/api/v1/documents/019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"],
        ),
    ] = None,
    after: Annotated[Moment | None, Query(description="The moment itself does not count.")] = None,
    before: Annotated[Moment | None, Query(description="The moment itself does not count.")] = None,
) -> Sought:
    return Sought(action=action, user_id=user_id, outcome=outcome, target=target, after=after, before=before)


Wanted = Annotated[Sought, Depends(_sought)]
Format = Annotated[Literal["csv", "jsonl"], Query(alias="format", description="`jsonl`: a JSON object a line.")]


@router.get(
    "",
    dependencies=[needs(Permission.AUDIT_READ)],
    response_model=Page[AuditLine],
    responses=answers(InvalidCursor),
)
async def list_audit(
    transaction: TenantTransaction, caller: Caller, wanted: Wanted, limit: Limit = 50, cursor: Cursor = None
) -> Page[AuditLine]:
    """Every change, every refusal and every failed change, the newest first."""
    seen = cursors.id_of("audit", cursor)
    found = await audit.page(transaction.driver, caller.tenant_id, wanted, limit=limit + 1, before=seen)
    return page_of(found, limit, AuditLine.of, lambda last: cursors.of("audit", last["id"]))


@router.get(
    "/export",
    dependencies=[needs(Permission.AUDIT_READ), budget(Budget.EXPENSIVE)],
    response_class=Response,
    responses={
        200: {
            "description": "The lines, as long as it takes.",
            "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
        }
    },
)
async def export_audit(services: Services, acting: Acts, wanted: Wanted, form: Format = "csv") -> Response:
    """All lines that fit, the newest first, as a file. Is a line of the log itself.

    A file that ends without the empty chunk of HTTP, as it does where Postgres went away, is not whole.
    """
    tenant_id = acting.identity.tenant_id
    async with services.database.transaction(tenant_id) as transaction:
        await acting.note(transaction, after={"format": form})
    return StreamingResponse(
        lines_of(services, tenant_id, wanted, _csv if form == "csv" else _jsonl),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="audit-{datetime.now(UTC):%Y-%m-%d}.{form}"'},
    )


async def lines_of(
    services: State, tenant_id: UUID, wanted: Sought, write: Callable[[Iterable[AuditLine], bool], str]
) -> AsyncIterator[str]:
    """A part of the file at a time. Nothing is held in Postgres while a slow reader takes one."""
    seen: UUID | None = None
    while True:
        async with services.database.transaction(tenant_id) as transaction:
            found: Sequence[asyncpg.Record] = await audit.page(
                transaction.driver, tenant_id, wanted, limit=LINES, before=seen
            )
        if text := write(map(AuditLine.of, found), seen is None):
            yield text
        if len(found) < LINES:
            return
        seen = found[-1]["id"]


def _jsonl(lines: Iterable[AuditLine], _is_first: bool) -> str:
    return "".join(f"{line.model_dump_json()}\n" for line in lines)


def _csv(lines: Iterable[AuditLine], is_first: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    if is_first:
        writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([cell(getattr(line, name)) for name in COLUMNS])
    return file.getvalue()
