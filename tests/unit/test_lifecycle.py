import pytest

from arqueduct.errors import IllegalTransition
from arqueduct.lifecycle import FINAL, UNFINISHED, Action, JobState, check, successors


def test_every_state_is_either_final_or_unfinished() -> None:
    assert set(JobState) == FINAL | UNFINISHED
    assert not FINAL & UNFINISHED


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.PAUSED])
def test_an_unfinished_job_may_be_cancelled(state: JobState) -> None:
    check(Action.CANCEL, state)


@pytest.mark.parametrize("action", list(Action))
def test_nothing_may_be_asked_of_a_completed_job(action: Action) -> None:
    with pytest.raises(IllegalTransition, match="completed"):
        check(action, JobState.COMPLETED)


def test_a_refusal_says_what_would_be_allowed() -> None:
    with pytest.raises(IllegalTransition) as caught:
        check(Action.RETRY, JobState.RUNNING)
    assert caught.value.message == (
        "The job is running; retry is possible only while it is cancelled, failed, partially_completed."
    )
    assert caught.value.status == 409


def test_an_ended_job_comes_back_only_through_the_queue() -> None:
    for state in FINAL:
        assert successors(state) <= {JobState.QUEUED}
