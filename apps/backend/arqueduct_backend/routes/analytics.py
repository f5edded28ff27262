"""Analytics: how processing went."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from arqueduct.errors import DependencyUnavailable, InvalidRequest, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct.repositories import stage_runs
from arqueduct.spans import Group, Piece, day_of, pieces, rounded
from arqueduct_backend.access import needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.overseeing import KindQuery, Moment
from arqueduct_backend.problems import answers
from arqueduct_backend.processing import Processing, answer

__all__ = ["router"]

router = APIRouter(
    prefix="/analytics", tags=["analytics"], responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable)
)

USUAL = timedelta(days=1)
LONGEST = timedelta(days=92)
"""A quarter: some ten thousand rows of sums, whatever ran in it."""
LONGEST_BY_HOUR = timedelta(days=14)
BY_HOUR = timedelta(days=2)
"""Up to here the series is by the hour unless told."""

User = Annotated[
    str,
    Query(
        pattern=r"^(all|me|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
        description="Whose jobs: `all` of the tenant's, `me`, or the id of a user.",
        examples=["me"],
    ),
]
From = Annotated[
    Moment | None, Query(alias="from", description="A day before `to` unless told.", examples=["2026-11-01T00:00:00Z"])
]
To = Annotated[Moment | None, Query(description="Now unless told.", examples=["2026-11-08T00:00:00Z"])]
GroupBy = Annotated[
    Group | None, Query(description="Of the series; by the hour up to two days unless told.", examples=["day"])
]


@router.get("/processing", dependencies=[needs(Permission.JOBS_READ)], response_model=Processing)
async def get_processing(
    services: Services,
    transaction: TenantTransaction,
    caller: Caller,
    from_: From = None,
    to: To = None,
    user: User = "all",
    kind: KindQuery = None,
    group: GroupBy = None,
) -> Processing:
    """Per stage how often, how long and with which errors; waits; what was done by the hour or the day.

    Numbers are of runs that ended within the range, which is rounded to whole hours; they follow within seconds.
    """
    kept = day_of(datetime.now(UTC) - timedelta(days=services.settings.keep_stage_runs_days))
    low, high = _range(from_, to, hours_since=kept)
    by: Group = group or ("hour" if high - low <= BY_HOUR and low >= kept else "day")
    if by == "hour" and (high - low > LONGEST_BY_HOUR or low < kept):
        raise InvalidRequest("There is no series by the hour that long, or that long ago: ask for one by the day.")
    whose = {"all": caller.tenant_id, "me": caller.user_id}.get(user) or UUID(user)
    parts = pieces(low, high)
    within = parts if by == "day" else [Piece(span="hour", low=low, high=high)]
    return answer(
        low=low,
        high=high,
        scope="tenant" if whose == caller.tenant_id else "user",
        group=by,
        sums=await stage_runs.sums(transaction, whose, parts, kind),
        series=await stage_runs.series(transaction, whose, within, kind, by),
    )


def _range(low: datetime | None, high: datetime | None, *, hours_since: datetime) -> tuple[datetime, datetime]:
    """Raises `InvalidRequest`."""
    high = high or datetime.now(UTC)
    try:
        low = low or high - USUAL
        if low >= high:
            raise InvalidRequest("`from` lies behind `to`.")
        low, high = rounded(low, high, hours_since=hours_since)
    except OverflowError:
        raise InvalidRequest("The range lies outside of the calendar.") from None
    if high - low > LONGEST + timedelta(days=1):
        raise InvalidRequest(f"A range has at most {LONGEST.days} days.")
    return low, high
