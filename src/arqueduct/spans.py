"""A stretch of time, cut into whole weeks, days and hours (UTC), so that few sums cover it. Values in, values out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["Group", "Piece", "Span", "day_of", "hour_of", "moments", "pieces", "rounded"]

Span = Literal["hour", "day", "week"]
Group = Literal["hour", "day"]

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
LENGTH = {"hour": HOUR, "day": DAY, "week": WEEK}


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Sums of one span, from `low` to before `high`."""

    span: Span
    low: datetime
    high: datetime


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def week_of(moment: datetime) -> datetime:
    """Its Monday, as Postgres has it."""
    return day_of(moment) - moment.astimezone(UTC).weekday() * DAY


def rounded(low: datetime, high: datetime, *, hours_since: datetime) -> tuple[datetime, datetime]:
    """The least stretch of whole hours that holds both; of whole days where it is older than `hours_since`."""
    low = hour_of(low) if low >= hours_since else day_of(low)
    return low, _up(high, "hour") if high >= hours_since else _up(high, "day")


def pieces(low: datetime, high: datetime) -> Sequence[Piece]:
    """As few as there are: weeks in the middle, days before and after them, hours at both ends.

    Both ends are whole hours.
    """
    return [piece for piece in _cut(low, high, ("week", "day", "hour")) if piece.low < piece.high]


def moments(low: datetime, high: datetime, span: Group) -> Iterator[datetime]:
    """Where each hour or day begins."""
    moment = hour_of(low) if span == "hour" else day_of(low)
    while moment < high:
        yield moment
        moment += LENGTH[span]


def _cut(low: datetime, high: datetime, spans: Sequence[Span]) -> Iterator[Piece]:
    span, *finer = spans
    first, last = _up(low, span), _down(high, span)
    if not finer:
        yield Piece(span=span, low=low, high=high)
    elif first >= last:
        yield from _cut(low, high, finer)
    else:
        yield from _cut(low, first, finer)
        yield Piece(span=span, low=first, high=last)
        yield from _cut(last, high, finer)


def _down(moment: datetime, span: Span) -> datetime:
    return {"hour": hour_of, "day": day_of, "week": week_of}[span](moment)


def _up(moment: datetime, span: Span) -> datetime:
    down = _down(moment, span)
    return down if down == moment else down + LENGTH[span]
