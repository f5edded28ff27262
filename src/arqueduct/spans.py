"""A stretch of time, cut into whole days and whole hours (UTC), so that few sums cover it. Values in, values out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["Piece", "Span", "day_of", "hour_of", "moments", "pieces", "rounded"]

Span = Literal["hour", "day"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LENGTH = {"hour": HOUR, "day": DAY}


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


def rounded(low: datetime, high: datetime, *, hours_since: datetime) -> tuple[datetime, datetime]:
    """The least stretch of whole hours that holds both; of whole days where it is older than `hours_since`."""
    low = hour_of(low) if low >= hours_since else day_of(low)
    if high >= hours_since:
        return low, _up(high, HOUR, hour_of(high))
    return low, _up(high, DAY, day_of(high))


def pieces(low: datetime, high: datetime) -> Sequence[Piece]:
    """Whole days, and the hours before the first and after the last of them. Both ends are whole hours."""
    first, last = _up(low, DAY, day_of(low)), day_of(high)
    if first >= last:
        return [Piece(span="hour", low=low, high=high)] if low < high else []
    found = [
        Piece(span="hour", low=low, high=first),
        Piece(span="day", low=first, high=last),
        Piece(span="hour", low=last, high=high),
    ]
    return [piece for piece in found if piece.low < piece.high]


def moments(low: datetime, high: datetime, span: Span) -> Iterator[datetime]:
    """Where each hour or day begins."""
    moment = hour_of(low) if span == "hour" else day_of(low)
    while moment < high:
        yield moment
        moment += LENGTH[span]


def _up(moment: datetime, by: timedelta, down: datetime) -> datetime:
    return down if down == moment else down + by
