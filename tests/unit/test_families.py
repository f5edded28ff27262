"""A parent follows from its children."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.families import Counts, OnError, Policy, Standing, progress, rate, standing
from arqueduct.lifecycle import FINAL, JobState

FEW = st.integers(min_value=0, max_value=5)
COUNTS = st.builds(Counts, queued=FEW, running=FEW, paused=FEW, completed=FEW, failed=FEW, cancelled=FEW)
POLICIES = st.builds(Policy, on_error=st.sampled_from(OnError), threshold=st.floats(min_value=0, max_value=1))


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        (Counts(queued=3), JobState.QUEUED),
        (Counts(queued=2, running=1), JobState.RUNNING),
        (Counts(queued=2, completed=1), JobState.RUNNING),
        (Counts(paused=2, completed=1), JobState.PAUSED),
        (Counts(paused=2, running=1), JobState.RUNNING),
        (Counts(), JobState.COMPLETED),
        (Counts(completed=3), JobState.COMPLETED),
        (Counts(completed=2, failed=1), JobState.PARTIALLY_COMPLETED),
        (Counts(completed=2, cancelled=1), JobState.PARTIALLY_COMPLETED),
        (Counts(failed=3), JobState.FAILED),
        (Counts(failed=1, cancelled=2), JobState.FAILED),
        (Counts(cancelled=3), JobState.CANCELLED),
    ],
)
def test_what_the_children_are_decides_what_the_parent_is(counts: Counts, state: JobState) -> None:
    assert standing(counts, Policy()).state is state


def test_more_failures_than_the_threshold_allows_fail_the_parent_at_its_end() -> None:
    policy = Policy(threshold=0.25)
    assert standing(Counts(completed=3, failed=1), policy).state is JobState.PARTIALLY_COMPLETED
    found = standing(Counts(completed=2, failed=2), policy)
    assert found.state is JobState.FAILED
    assert found.error is not None
    assert found.error["code"] == "too_many_failures"


def test_who_stops_on_errors_stops_the_others_and_is_failed_once_they_have_ended() -> None:
    policy = Policy(on_error=OnError.STOP_ON_ERROR, threshold=0)
    assert not standing(Counts(queued=3, completed=1), policy).must_stop
    assert standing(Counts(queued=3, failed=1), policy) == Standing(state=JobState.RUNNING, must_stop=True)
    assert standing(Counts(cancelled=3, failed=1), policy, is_stopping=True).state is JobState.FAILED


def test_failures_that_somebody_has_seen_stop_nothing() -> None:
    policy = Policy(on_error=OnError.STOP_ON_ERROR, threshold=0)
    assert not standing(Counts(queued=1, failed=2), policy, forgiven=2).must_stop
    assert standing(Counts(queued=1, failed=3), policy, forgiven=2).must_stop


def test_a_cancelled_parent_is_cancelled_although_some_were_done() -> None:
    assert standing(Counts(completed=2, cancelled=1), Policy(), is_cancelled=True).state is JobState.CANCELLED
    assert standing(Counts(completed=3), Policy(), is_cancelled=True).state is JobState.COMPLETED


@given(COUNTS, POLICIES, st.booleans(), st.booleans())
def test_a_parent_has_ended_when_and_only_when_all_children_have(
    counts: Counts, policy: Policy, is_cancelled: bool, is_stopping: bool
) -> None:
    found = standing(counts, policy, is_cancelled=is_cancelled, is_stopping=is_stopping)
    assert (found.state in FINAL) == (counts.unfinished == 0)
    assert (found.error is not None) == (found.state is JobState.FAILED)
    if counts.unfinished == 0:
        assert (found.state is JobState.COMPLETED) == (counts.completed == counts.total)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10_000)), min_size=1, max_size=20))
def test_progress_is_the_weighted_mean_and_stays_between_0_and_1(children: list[tuple[int, int]]) -> None:
    weight = sum(weight for weight, _ in children)
    work = sum(weight * done for weight, done in children)
    mean = sum(weight * done / 10_000 for weight, done in children) / weight
    assert progress(work, weight) == pytest.approx(mean)
    assert 0 <= progress(work, weight) <= 1


@given(st.floats(0, 1e6), st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.01, 100)), min_size=1, max_size=20))
def test_a_decayed_rate_lies_between_the_slowest_and_the_fastest_seen(
    first: float, observed: list[tuple[float, float]]
) -> None:
    found: float | None = first
    for per_second, seconds in observed:
        found = rate(found, per_second * seconds, seconds, 10)
    seen = [first, *(per_second for per_second, _ in observed)]
    assert found is not None
    assert min(seen) - 1e-6 * max(seen) - 1e-9 <= found <= max(seen) + 1e-6 * max(seen) + 1e-9


def test_there_is_no_rate_before_something_was_done() -> None:
    assert rate(None, 0, 5, 10) is None
    assert rate(None, 50, 5, 10) == 10
    assert rate(7, 50, 0, 10) == 7
