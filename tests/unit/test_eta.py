"""Estimates: bounds and order for whatever is measured, and unknown where nothing was."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.eta import (
    JOB,
    MOST,
    NOTHING,
    Estimate,
    Guess,
    Part,
    Rate,
    Rates,
    blended,
    estimate,
    lately,
    left_of,
    left_of_job,
    of_backlog,
    pace,
    size_class,
    together,
    wait,
)
from arqueduct.ids import new_id
from arqueduct.pipeline import Stage, StageContext
from arqueduct_worker import tracker

logs = st.floats(-7, 14)
variances = st.floats(0, 9)
guesses = st.builds(lambda mean, variance: Guess(mean=mean, variance=variance), logs, variances)
seconds = st.floats(0, 1e6)
shares = st.floats(0, 1)
parts = st.builds(
    lambda weight, guess, spent: Part(weight=weight, guess=guess, spent=spent),
    st.sampled_from([0.0, 0.05, 0.2, 0.45]),
    st.none() | guesses,
    st.none() | seconds,
)
positive = st.floats(1e-3, 1e6)


def a_rate(seconds: float, *, content_type: str = "text/plain", of_size: int = 5, weight: float = 20) -> Rate:
    return Rate(
        kind="document.ingest",
        stage="extract",
        content_type=content_type,
        size_class=of_size,
        weight=weight,
        mean=math.log(seconds),
        variance=0.1,
    )


def is_sound(found: Estimate) -> bool:
    least, most = found.range
    return 0 <= found.low <= found.middle <= found.high <= MOST and 0 <= least <= found.seconds <= most <= MOST


@given(guesses)
def test_an_estimate_is_a_range_round_its_middle(guess: Guess) -> None:
    assert is_sound(estimate(guess))


@given(st.lists(parts, min_size=1, max_size=8), st.integers(0, 7), seconds, shares)
def test_what_is_left_of_a_job_is_a_range_or_unknown(
    stages: Sequence[Part], at: int, elapsed: float, share: float
) -> None:
    found = left_of_job(stages, min(at, len(stages) - 1), elapsed, share)
    assert found is None or is_sound(found)


@given(st.lists(st.builds(Part, weight=st.just(0.2), guess=guesses), min_size=1, max_size=8), seconds, shares)
def test_stages_that_were_all_measured_are_never_unknown(stages: Sequence[Part], elapsed: float, share: float) -> None:
    assert left_of_job(stages, 0, elapsed, share) is not None


@given(st.lists(guesses, min_size=1, max_size=6), guesses)
def test_one_stage_more_takes_no_less_on_the_average(stages: list[Guess], another: Guess) -> None:
    before, after = _mean(together(stages)), _mean(together([*stages, another]))
    assert after >= before * (1 - 1e-9)
    assert after == pytest.approx(before + _mean(another), rel=1e-6)


@given(st.lists(guesses, min_size=1, max_size=6))
def test_a_sum_is_no_surer_than_independent_stages_and_no_less_sure_than_like_ones(stages: list[Guess]) -> None:
    deviations = [_deviation(guess) for guess in stages]
    independent = math.sqrt(sum(each**2 for each in deviations))
    rounding = 1e-6 * _mean(together(stages))
    assert independent - rounding <= _deviation(together(stages)) <= sum(deviations) + rounding


def test_nothing_takes_no_time() -> None:
    assert estimate(together([])) == estimate(NOTHING)
    assert (estimate(NOTHING).seconds, estimate(NOTHING).range) == (0, [0, 1])


@given(positive, shares, shares)
def test_the_own_pace_says_less_is_left_the_more_is_done(elapsed: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    at_less, at_more = pace(elapsed, less), pace(elapsed, more)
    if at_less and at_more:
        assert at_more.mean <= at_less.mean
        assert at_more.variance <= at_less.variance
    assert at_more or not at_less


def test_an_own_pace_needs_a_basis() -> None:
    assert pace(30.0, 0.01) is None
    assert pace(0.0, 0.5) is None
    half = pace(30.0, 0.5)
    assert half
    assert estimate(half).seconds == 30


@given(st.floats(0.05, 0.99), st.floats(1, 1e4), st.floats(1e-5, 1), st.floats(1e-5, 1))
def test_the_faster_of_late_the_less_is_left(share: float, elapsed: float, one: float, other: float) -> None:
    slow, fast = sorted((one, other))
    own = pace(elapsed, share)
    with_slow, with_fast = lately(own, share, slow), lately(own, share, fast)
    assert own
    assert with_slow
    assert with_fast
    assert with_fast.mean <= with_slow.mean
    assert lately(own, share, None) == lately(own, share, 0.0) == own
    assert lately(None, share, fast) is None


@given(guesses, seconds)
def test_that_a_stage_is_not_over_yet_never_brings_its_end_nearer(guess: Guess, elapsed: float) -> None:
    left = estimate(left_of(guess, elapsed))
    assert is_sound(left)
    assert elapsed + left.middle >= estimate(guess).middle * (1 - 1e-6)


def test_a_late_stage_is_expected_to_go_on_for_longer_the_later_it_is() -> None:
    usual = Guess(mean=math.log(10), variance=0.3)
    found = [estimate(left_of(usual, elapsed)).middle for elapsed in (0, 5, 20, 80, 500, 5000)]
    assert found[0] == pytest.approx(10)
    assert found[1] < found[0]
    assert found[3] < found[4] < found[5]


@given(guesses, guesses)
def test_two_opinions_together_lie_between_both(one: Guess, other: Guess) -> None:
    both = blended(one, other)
    assert min(one.mean, other.mean) - 1e-6 <= both.mean <= max(one.mean, other.mean) + 1e-6
    assert both.variance >= 0


def test_opinions_that_contradict_each_other_are_unsure_together() -> None:
    sure = Guess(mean=0.0, variance=0.1)
    alike, contrary = Guess(mean=0.0, variance=0.1), Guess(mean=3.0, variance=0.1)
    assert blended(sure, alike).variance == pytest.approx(0.05)
    assert blended(sure, contrary).variance > 2


def test_a_stage_that_was_never_measured_is_guessed_by_the_pace_of_the_attempt_or_unknown() -> None:
    unknown = Part(weight=0.4, guess=None)
    stages = [Part(weight=0.1, guess=None, spent=10.0), unknown, Part(weight=0.5, guess=None)]
    assert left_of_job([unknown, unknown], 0, 5.0, 0.0) is None
    found = left_of_job(stages, 1, 0.0, 0.0)
    assert found
    assert found.low < 90 < found.high
    assert found.high > 2 * found.low, "a guess by weight is not sure"


@given(st.integers(0, 2**50))
def test_a_class_of_size_is_a_doubling(size: int) -> None:
    found = size_class(size)
    assert 0 <= found <= 20
    assert size_class(size * 2) in (found, found + 1)
    if 0 < found < 20:
        assert 2 ** (found - 1) <= size / 1024 < 2**found


def test_what_is_nearest_stands_in_and_is_less_sure() -> None:
    rates = Rates([a_rate(2.0), a_rate(100.0, content_type="application/pdf")])
    same = rates.guess("document.ingest", "extract", "text/plain", 20_000)
    larger = rates.guess("document.ingest", "extract", "text/plain", 40_000)
    other = rates.guess("document.ingest", "extract", "text/html", 20_000)
    assert same
    assert larger
    assert other
    assert math.exp(same.mean) == pytest.approx(2.0)
    assert 2.0 < math.exp(larger.mean) < 4.0
    assert same.variance < larger.variance < other.variance


def test_of_what_was_never_measured_nothing_is_known() -> None:
    rates = Rates([a_rate(2.0)])
    assert rates.guess("document.ingest", "embed", "text/plain", 20_000) is None
    assert rates.guess("report.write", "extract", "text/plain", 20_000) is None
    assert rates.guess("document.ingest", "extract", "text/plain", 2**30) is None, "too far from what was measured"
    assert rates.usual_job() is None
    assert not Rates()


@given(positive, st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_the_more_runs_the_surer(taken: float, one: float, other: float) -> None:
    few, many = sorted((one, other))
    with_few = Rates([a_rate(taken, weight=few)]).guess("document.ingest", "extract", "text/plain", 20_000)
    with_many = Rates([a_rate(taken, weight=many)]).guess("document.ingest", "extract", "text/plain", 20_000)
    assert with_few
    assert with_many
    assert with_many.variance <= with_few.variance + 1e-12


@given(st.integers(0, 10_000), st.integers(1, 100), guesses)
def test_who_has_more_before_him_waits_longer(before: int, slots: int, job: Guess) -> None:
    sooner, later = wait(before, slots, job), wait(before + 1, slots, job)
    more_hands = wait(before, slots + 1, job)
    assert sooner
    assert later
    assert more_hands
    assert more_hands.mean <= sooner.mean <= later.mean


def test_nobody_knows_when_there_is_no_worker_or_nothing_was_measured() -> None:
    job = Guess(mean=0, variance=1)
    assert wait(0, 0, job) is None
    assert wait(5, 2, None) is None
    assert wait(-3, 2, None) == NOTHING


@given(st.floats(0, 1e12), st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e6))
def test_a_backlog_is_a_range_or_unknown(work: float, fast: float, slow: float, basis: float) -> None:
    found = of_backlog(work, fast=fast, slow=slow, basis=basis)
    assert found is None or is_sound(found)


@given(positive, positive, positive, positive, st.floats(2, 1e6))
def test_more_work_takes_longer_and_more_pace_less(
    work: float, more: float, fast: float, slow: float, basis: float
) -> None:
    usual = of_backlog(work, fast=fast, slow=slow, basis=basis)
    larger = of_backlog(work + more, fast=fast, slow=slow, basis=basis)
    quicker = of_backlog(work, fast=2 * fast, slow=2 * slow, basis=basis)
    surer = of_backlog(work, fast=fast, slow=slow, basis=2 * basis)
    assert usual
    assert larger
    assert quicker
    assert surer
    assert usual.middle <= larger.middle
    assert usual.high <= larger.high
    assert quicker.middle <= usual.middle
    assert usual.low <= surer.low * (1 + 1e-9)
    assert surer.high <= usual.high * (1 + 1e-9)


@given(positive, positive, positive, st.floats(2, 1e6))
def test_the_range_of_a_backlog_holds_both_paces_unless_one_is_next_to_nothing(
    work: float, fast: float, slow: float, basis: float
) -> None:
    found = of_backlog(work, fast=fast, slow=slow, basis=basis)
    assert found
    if max(fast, slow) <= 8 * min(fast, slow):
        for rate in (fast, slow):
            assert found.low <= min(work / rate, MOST) <= found.high


def test_a_backlog_that_does_not_move_or_was_hardly_watched_is_unknown() -> None:
    assert of_backlog(10, fast=0, slow=0, basis=100) is None
    assert of_backlog(10, fast=1, slow=1, basis=1) is None
    assert of_backlog(0, fast=0, slow=0, basis=0) == Estimate(low=0, middle=0, high=0)
    assert of_backlog(10, fast=0, slow=1, basis=100) is not None, "it paused of late"


def test_a_run_picked_out_of_all_is_as_likely_as_it_has_weight() -> None:
    def job(kind: str, taken: float, weight: float) -> Rate:
        return Rate(
            kind=kind,
            stage=JOB,
            content_type="",
            size_class=0,
            weight=weight,
            mean=math.log(taken),
            variance=0.1,
        )

    rates = Rates([job("a", 1.0, 30), job("b", 100.0, 10)])
    usual = rates.usual_job()
    assert usual
    assert math.exp(usual.mean) == pytest.approx(100**0.25)
    assert usual.variance > 1


class Hasty(Stage):
    """A stage whose reports come from the test."""

    name = "hasten"
    label = "hastening"
    weight = 1.0

    async def run(self, context: StageContext) -> None:
        raise NotImplementedError


async def test_a_pace_of_late_is_known_to_the_end_of_a_stage_that_reports_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    paces: list[float | None] = []

    def left(*asked: Any) -> None:
        paces.append(asked[-1])

    monkeypatch.setattr(tracker, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(tracker, "left_of_job", left)
    job = SimpleNamespace(id=new_id(), kind="test", fence=1, progress=0.0)
    silent = SimpleNamespace(say=lambda _: None)
    tracked = tracker.Tracker(cast("Any", job), [Hasty()], cast("Any", silent), Rates([]))
    tracked.begin(Hasty())
    for number in range(1, 1001):
        now += 1.0 if number <= 500 else 2.0
        tracked.report(number, 1000, "pages", None)
    assert None not in paces[100:]
    assert paces[450] == pytest.approx(1 / 1000)
    assert paces[-1] == pytest.approx(1 / 2000), "the first half was twice as quick"


def _mean(guess: Guess) -> float:
    return math.exp(guess.mean + min(guess.variance, 4.0) / 2)


def _deviation(guess: Guess) -> float:
    return _mean(guess) * math.sqrt(math.expm1(min(guess.variance, 4.0)))
