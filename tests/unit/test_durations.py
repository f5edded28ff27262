"""Percentiles out of a histogram lie within the bound; so do the pieces of a range cover it exactly."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.durations import RELATIVE_ERROR, SHORTEST, Durations, bucket_of, seconds_of
from arqueduct.spans import DAY, HOUR, moments, pieces, rounded

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
taken = st.lists(st.floats(0, 1e7) | st.floats(0.001, 60), min_size=1, max_size=300)
whole_hours = st.integers(0, 24 * 200).map(lambda hours: NEW_YEAR + hours * HOUR)
any_moment = st.integers(0, 365 * 86_400).map(lambda seconds: NEW_YEAR + timedelta(seconds=seconds))


@given(taken, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_within_the_bound(seconds: list[float], share: float) -> None:
    durations = Durations()
    for each in seconds:
        durations.add(bucket_of(each), 1, round(each * 1e6))
    exact = max(sorted(seconds)[math.ceil(share * len(seconds)) - 1], SHORTEST)
    assert durations.percentile(share) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9))
    assert durations.mean == pytest.approx(sum(seconds) / len(seconds), abs=1e-6)


@given(st.floats(SHORTEST, 1e9))
def test_a_bucket_stands_for_all_that_is_in_it(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == pytest.approx(seconds, rel=RELATIVE_ERROR * (1 + 1e-9))


def test_of_nothing_there_is_no_mean_and_no_percentile() -> None:
    assert (Durations().mean, Durations().percentile(0.5)) == (None, None)


@given(whole_hours, whole_hours)
def test_pieces_lie_end_to_end_and_are_whole(one: datetime, other: datetime) -> None:
    low, high = sorted((one, other))
    found = pieces(low, high)
    reached = low
    for piece in found:
        assert piece.low == reached
        assert piece.span == "hour" or (piece.low.hour, piece.high.hour) == (0, 0)
        assert piece.span != "week" or (piece.low.weekday(), piece.high.weekday()) == (0, 0)
        reached = piece.high
    assert reached == high
    assert sum((piece.high - piece.low for piece in found if piece.span == "hour"), timedelta()) < 2 * DAY
    assert sum((piece.high - piece.low for piece in found if piece.span != "week"), timedelta()) < 14 * DAY


@given(any_moment, any_moment, any_moment)
def test_a_rounded_range_holds_what_was_asked_for_and_little_more(
    one: datetime, other: datetime, since: datetime
) -> None:
    asked = sorted((one, other))
    low, high = rounded(*asked, hours_since=since)
    assert low <= asked[0]
    assert asked[1] <= high
    assert asked[0] - low < (HOUR if asked[0] >= since else DAY)
    assert high - asked[1] < (HOUR if asked[1] >= since else DAY)


def test_hours_and_days_follow_each_other() -> None:
    low = datetime(2026, 3, 1, 22, tzinfo=UTC)
    assert [moment.hour for moment in moments(low, low + 3 * HOUR, "hour")] == [22, 23, 0]
    assert [moment.day for moment in moments(low, low + 3 * HOUR, "day")] == [1, 2]
