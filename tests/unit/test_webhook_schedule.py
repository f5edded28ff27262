from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from arqueduct.retry import JITTER, LONGEST_ASKED, scheduled
from arqueduct_worker.pipelines.webhook import webhook_deliver

PAUSES = webhook_deliver.pauses


@given(st.integers(1, 20))
def test_a_pause_is_that_of_the_table(failures: int) -> None:
    pause = PAUSES[min(failures, len(PAUSES)) - 1]
    assert pause * (1 - JITTER) <= scheduled(failures, PAUSES).total_seconds() <= pause * (1 + JITTER)


@given(st.integers(1, 10), st.integers(0, 10_000))
def test_a_receiver_gets_at_least_the_pause_it_asked_for(failures: int, asked: int) -> None:
    found = scheduled(failures, PAUSES, retry_after=timedelta(seconds=asked))
    assert found >= timedelta(seconds=min(asked, LONGEST_ASKED))


def test_the_attempts_take_a_day() -> None:
    assert timedelta(hours=23) < timedelta(seconds=sum(PAUSES)) < timedelta(hours=25)
