from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.errors import DependencyUnavailable, DocumentCorrupt, ProviderLimited
from arqueduct.retry import LONGEST, LONGEST_ASKED, backoff, is_retryable, problem_of


@given(st.integers(1, 1000))
def test_the_pause_is_never_longer_than_the_cap(failures: int) -> None:
    assert timedelta(0) <= backoff(failures) <= timedelta(seconds=LONGEST)


@given(st.integers(1, 10), st.integers(0, 10_000))
def test_a_provider_gets_at_least_the_pause_it_asked_for(failures: int, asked: int) -> None:
    assert backoff(failures, retry_after=timedelta(seconds=asked)) >= timedelta(seconds=min(asked, LONGEST_ASKED))


@pytest.mark.parametrize(
    ("error", "expected"),
    [(DocumentCorrupt(), False), (DependencyUnavailable(), True), (ProviderLimited(), True), (KeyError("bug"), True)],
)
def test_only_what_can_succeed_later_is_tried_again(error: Exception, expected: bool) -> None:
    assert is_retryable(error) is expected


def test_a_user_reads_what_to_do() -> None:
    assert problem_of(DocumentCorrupt(), "extracting") == {
        "code": "document_corrupt",
        "message": "The file is damaged and cannot be read.",
        "stage": "extracting",
        "retryable": False,
        "advice": "Open it in its own program, save it anew, and upload that copy.",
    }


def test_a_bug_shows_nothing_of_its_inside_to_a_user() -> None:
    problem = problem_of(KeyError("/etc/secret"), "storing")
    assert problem["code"] == "internal_error"
    assert "secret" not in str(problem)
