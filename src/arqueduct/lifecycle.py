"""The states of a job and what may be done in each: values in, values out, no I/O.

docs/job-lifecycle.md draws the same table; a test keeps the two equal. It is of jobs that workers run. A parent's
state follows from its children's (`arqueduct.families`): it leaves an end, also `failed` or `cancelled`, for `running`
as soon as one of them is tried again.
"""

from enum import IntEnum, StrEnum

from arqueduct.errors import IllegalTransition

__all__ = ["FINAL", "UNFINISHED", "Action", "JobState", "Outcome", "Priority", "allowed", "check", "successors"]


class JobState(StrEnum):
    """Where a job stands. The row in Postgres is the only place that knows."""

    QUEUED = "queued"
    """Committed, not owned by a worker. Left by a claim, a cancel or a pause."""
    RUNNING = "running"
    """Owned by one attempt under a lease. Left by an end, a hand-back, a retry or a lapse of the lease."""
    PAUSED = "paused"
    """Put aside by a user, what is done is kept. Left by resume or cancel."""
    COMPLETED = "completed"
    """All stages ran and their results are committed. Never left."""
    PARTIALLY_COMPLETED = "partially_completed"
    """A parent some of whose children failed, as its policy allows. Left only by a user's retry of one of them."""
    FAILED = "failed"
    """A permanent error, or failures used up. Left only by a user's retry."""
    CANCELLED = "cancelled"
    """Someone asked for it. Left only by a user's retry."""


class Action(StrEnum):
    """What a user may ask of a job."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


class Priority(IntEnum):
    """Which of its tenant's jobs goes first; the lower number does. It takes nothing from other tenants."""

    INTERACTIVE = -10
    """Somebody waits for it."""
    NORMAL = 0
    BULK = 10
    """When nothing else is waiting."""


class Outcome(StrEnum):
    """How one attempt at a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """The job with it."""
    RETRIED = "retried"
    """An error; the job goes back into the queue."""
    SNOOZED = "snoozed"
    """It got further, but its time was up; the job goes back into the queue."""
    HANDED_BACK = "handed_back"
    """By a worker that was told to stop."""
    PAUSED = "paused"
    CANCELLED = "cancelled"
    WORKER_DIED = "worker_died"
    """Its worker gave no sign of life for a lease."""


UNFINISHED = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PAUSED})
FINAL = frozenset(JobState) - UNFINISHED

_ALLOWED: dict[Action, frozenset[JobState]] = {
    Action.CANCEL: UNFINISHED,
    Action.PAUSE: frozenset({JobState.QUEUED, JobState.RUNNING}),
    Action.RESUME: frozenset({JobState.PAUSED}),
    Action.RETRY: frozenset({JobState.FAILED, JobState.CANCELLED, JobState.PARTIALLY_COMPLETED}),
}

_SUCCESSORS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(JobState),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset(),
    JobState.PARTIALLY_COMPLETED: frozenset({JobState.RUNNING}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}


def allowed(action: Action) -> frozenset[JobState]:
    """The states in which a user may ask for it."""
    return _ALLOWED[action]


def check(action: Action, state: JobState) -> None:
    """Raises `IllegalTransition`, which names the state, if `state` does not allow `action`."""
    if state not in _ALLOWED[action]:
        states = ", ".join(sorted(_ALLOWED[action]))
        raise IllegalTransition(f"The job is {state}; {action} is possible only while it is {states}.", state=state)


def successors(state: JobState) -> frozenset[JobState]:
    """The states that may follow `state`."""
    return _SUCCESSORS[state]
