import pytest

from arqueduct.errors import IllegalTransition
from arqueduct.lifecycle import FINAL, UNFINISHED, Action, JobState, Outcome, Priority, allowed, check, successors


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
    for state in FINAL - {JobState.PARTIALLY_COMPLETED}:
        assert successors(state) <= {JobState.QUEUED}


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("action", Action)
def test_what_is_allowed_is_not_refused_and_the_rest_is(action: Action, state: JobState) -> None:
    if state in allowed(action):
        check(action, state)
    else:
        with pytest.raises(IllegalTransition) as caught:
            check(action, state)
        assert caught.value.details["state"] == state


@pytest.mark.parametrize(
    ("action", "end"),
    [
        (Action.CANCEL, JobState.CANCELLED),
        (Action.PAUSE, JobState.PAUSED),
        (Action.RESUME, JobState.QUEUED),
        (Action.RETRY, JobState.QUEUED),
    ],
)
def test_what_is_allowed_leads_somewhere(action: Action, end: JobState) -> None:
    """But for a parent: that follows from its children, and some of them have ended."""
    assert all(end in successors(state) for state in allowed(action) - {JobState.PARTIALLY_COMPLETED})


def test_every_state_is_reached_and_only_the_completed_one_is_never_left() -> None:
    assert {state for before in JobState for state in successors(before)} == set(JobState)
    assert [state for state in JobState if not successors(state)] == [JobState.COMPLETED]


def test_the_lower_priority_goes_first() -> None:
    assert sorted(Priority) == [Priority.INTERACTIVE, Priority.NORMAL, Priority.BULK]


def test_an_attempt_that_ended_with_its_job_has_the_word_of_its_state() -> None:
    assert {outcome.value for outcome in Outcome} & {state.value for state in JobState} == {
        "cancelled",
        "completed",
        "failed",
        "paused",
    }
