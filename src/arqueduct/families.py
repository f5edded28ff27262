"""What a parent is, by what its children are, for API and workers alike: values in, values out, no I/O."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from arqueduct.lifecycle import JobState

__all__ = ["Asked", "Counts", "OnError", "Policy", "Standing", "progress", "rate", "share", "standing"]

WORK_UNITS = 10_000
"""Of a child's weight: as finely as progress is told."""


class OnError(StrEnum):
    """What becomes of the other children when some have failed."""

    CONTINUE = "continue"
    """They go on; the parent ends when all have ended."""
    STOP_ON_ERROR = "stop_on_error"
    """Once more have failed than the threshold allows, the others are cancelled and the parent is failed."""


class Asked(StrEnum):
    """What is to be done to all children of a parent, those too that come back into the queue later."""

    CANCEL = "cancel"
    PAUSE = "pause"
    """Until somebody asks to resume."""
    RESUME = "resume"
    """Until it is done to all that were paused."""
    STOP = "stop"
    """As `CANCEL`, because too many failed."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How much may fail."""

    on_error: OnError = OnError.CONTINUE
    threshold: float = 1.0
    """Share of the children, 0 to 1: if more failed, the parent is failed and not partially completed."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Children by state."""

    queued: int = 0
    running: int = 0
    paused: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def unfinished(self) -> int:
        return self.queued + self.running + self.paused

    @property
    def finished(self) -> int:
        return self.completed + self.failed + self.cancelled

    @property
    def total(self) -> int:
        return self.unfinished + self.finished


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What follows for the parent."""

    state: JobState
    must_stop: bool = False
    """Too many failed: what has not ended is to be cancelled."""
    error: dict[str, Any] | None = None
    """For users, as `retry.problem_of` has it."""


def standing(
    counts: Counts, policy: Policy, *, is_cancelled: bool = False, is_stopping: bool = False, forgiven: int = 0
) -> Standing:
    """`is_cancelled`: somebody asked for it. `is_stopping`: an earlier answer was `must_stop`. `forgiven`: failures
    that stop nothing, because somebody has seen them and goes on."""
    has_too_many = share(counts.failed, counts.total) > policy.threshold
    counted = share(counts.failed - forgiven, counts.total)
    must_stop = is_stopping or (policy.on_error is OnError.STOP_ON_ERROR and counted > policy.threshold)
    if counts.unfinished:
        return Standing(state=_going_on(counts), must_stop=must_stop and not is_cancelled)
    state = _ended(counts, is_cancelled=is_cancelled, has_too_many=has_too_many or must_stop)
    return Standing(state=state, error=_error(counts, is_stopped=must_stop) if state is JobState.FAILED else None)


def progress(work: int, weight: int) -> float:
    """Weighted mean of the children's progress, between 0 and 1; of no children at all: 1."""
    if weight <= 0:
        return 1.0
    return min(max(work / (weight * WORK_UNITS), 0.0), 1.0)


def share(part: int, whole: int) -> float:
    """0 of nothing."""
    return part / whole if whole else 0.0


def rate(before: float | None, done: float, seconds: float, half_life: float) -> float | None:
    """What is done a second, decayed: after `half_life` seconds what was before counts half.

    `done` may be anything that adds up; what was undone (a retry) is no speed.
    """
    if seconds <= 0:
        return before
    now = max(done, 0.0) / seconds
    if before is None:
        return now if now > 0 else None
    return now + (before - now) * math.exp2(-seconds / half_life)


def _going_on(counts: Counts) -> JobState:
    if counts.running:
        return JobState.RUNNING
    if not counts.queued:
        return JobState.PAUSED
    return JobState.RUNNING if counts.finished else JobState.QUEUED


def _ended(counts: Counts, *, is_cancelled: bool, has_too_many: bool) -> JobState:
    if counts.completed == counts.total:
        return JobState.COMPLETED
    if is_cancelled:
        return JobState.CANCELLED
    if has_too_many:
        return JobState.FAILED
    if counts.completed:
        return JobState.PARTIALLY_COMPLETED
    return JobState.FAILED if counts.failed else JobState.CANCELLED


def _error(counts: Counts, *, is_stopped: bool) -> dict[str, Any]:
    if is_stopped:
        code, message = "too_many_failures", f"Stopped: {counts.failed} of {counts.total} failed, more than may."
    elif not counts.completed:
        code, message = "all_failed", f"None of {counts.total} could be completed; {counts.failed} failed."
    else:
        code, message = "too_many_failures", f"{counts.failed} of {counts.total} failed, more than may."
    return {
        "code": code,
        "message": message,
        "stage": "failed",
        "retryable": True,
        "advice": "Read why in the error report, mend it, and retry those that failed.",
    }
