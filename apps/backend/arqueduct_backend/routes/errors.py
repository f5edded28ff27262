"""The error report of a tenant: what failed, whatever it belonged to."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from arqueduct.errors import DependencyUnavailable, InvalidRequest, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct_backend import error_report
from arqueduct_backend.access import needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.overseeing import KindQuery, Moment
from arqueduct_backend.pages import Cursor, Limit
from arqueduct_backend.problems import answers

__all__ = ["router"]

router = APIRouter(
    prefix="/errors",
    tags=["jobs"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

RANGE = timedelta(days=30)
"""How far back is told where nobody says."""


@router.get(
    "",
    dependencies=[needs(Permission.JOBS_READ)],
    response_model=error_report.ErrorReport,
    responses=error_report.ANSWERS,
)
async def list_errors(
    services: Services,
    transaction: TenantTransaction,
    caller: Caller,
    form: error_report.Form = "json",
    error_code: error_report.CodeQuery = None,
    kind: KindQuery = None,
    user_id: UUID | None = None,
    after: Annotated[
        Moment | None, Query(description="Failed later than this; else, 30 days before `before`, or now.")
    ] = None,
    before: Annotated[Moment | None, Query(description="Failed earlier than this.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> error_report.ErrorReport | Response:
    """What failed, where, why, and what to do, the last first: of the last 30 days, or from `after` on; as CSV all of
    it at once.

    To try some of it again, send the jobs' ids, or a code, to POST /api/v1/jobs/retry.
    """
    since = after or _since(before)
    wanted = error_report.Wanted(code=error_code, kind=kind, user_id=user_id, failed_after=since, failed_before=before)
    return await error_report.answer(services, transaction, caller.tenant_id, wanted, form, limit, cursor)


def _since(before: datetime | None) -> datetime:
    """As far back as is told by default; not before there was time."""
    earliest = datetime.min.replace(tzinfo=UTC)
    return max(before or datetime.now(UTC), earliest + RANGE) - RANGE
