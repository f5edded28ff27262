"""What docs/job-lifecycle.md says a job does, without a database. test_transitions_model compares the rows with it."""

from dataclasses import dataclass, field
from uuid import UUID

from arqueduct import events
from arqueduct.lifecycle import FINAL, Action, JobState, Outcome, allowed, successors

MAX_CRASHES = 3

Event = tuple[int, str, str, int]
"""seq, type, state, attempt."""


@dataclass(kw_only=True)
class JobModel:
    """One job as it ought to stand."""

    id: UUID
    tenant_id: UUID
    document_id: UUID | None
    state: JobState = JobState.QUEUED
    is_sent: bool = False
    is_deleted: bool = False
    is_lapsed: bool = False
    cancel_requested: bool = False
    pause_requested: bool = False
    fence: int = 0
    failures: int = 0
    crashes: int = 0
    dispatch: int = 0
    progress: float = 0
    seq: int = 1
    attempts: dict[int, Outcome | None] = field(default_factory=dict)
    events: list[Event] = field(default_factory=lambda: [(1, "job_queued", "queued", 0)])

    def owned_by(self, fence: int) -> bool:
        return self.state == JobState.RUNNING and self.fence == fence

    def is_dead(self) -> bool:
        """Nothing changes it any more."""
        return self.state == JobState.COMPLETED or (self.is_deleted and self.state in FINAL)

    def is_asked(self) -> bool:
        return self.cancel_requested or self.pause_requested

    def admit(self) -> bool:
        if self.state != JobState.QUEUED or self.is_sent:
            return False
        self.is_sent = True
        return True

    def claim(self, dispatch: int) -> bool:
        if self.state != JobState.QUEUED or self.dispatch != dispatch:
            return False
        self._become(JobState.RUNNING)
        self.is_sent = False
        self.fence += 1
        self.seq += 1
        self.attempts[self.fence] = None
        return True

    def advance(self, fence: int, progress: float, *, is_new_stage: bool) -> bool:
        if not self.owned_by(fence):
            return False
        self.seq += 1
        self.progress = max(self.progress, progress)
        if is_new_stage:
            self.events.append((self.seq, "job_progress", "running", self.fence))
        return True

    def complete(self, fence: int) -> bool:
        if not self.owned_by(fence) or self.cancel_requested:
            return False
        self.progress = 1
        return self._move(JobState.COMPLETED, Outcome.COMPLETED)

    def fail(self, fence: int) -> bool:
        if not self.owned_by(fence):
            return False
        self.failures += 1
        return self._move(JobState.FAILED, Outcome.FAILED)

    def back_to_queue(self, fence: int, outcome: Outcome) -> bool:
        if not self.owned_by(fence) or self.is_asked():
            return False
        self.failures += outcome == Outcome.RETRIED
        return self._move(JobState.QUEUED, outcome)

    def pause_running(self, fence: int) -> bool:
        if not self.owned_by(fence) or self.cancel_requested or not self.pause_requested:
            return False
        return self._move(JobState.PAUSED, Outcome.PAUSED)

    def cancel_running(self, fence: int) -> bool:
        if not self.owned_by(fence) or not self.cancel_requested:
            return False
        return self._move(JobState.CANCELLED, Outcome.CANCELLED)

    def sweep(self) -> bool:
        if self.state != JobState.RUNNING or not self.is_lapsed:
            return False
        if self.cancel_requested:
            return self._move(JobState.CANCELLED, Outcome.WORKER_DIED)
        self.crashes += 1
        if self.crashes >= MAX_CRASHES:
            return self._move(JobState.FAILED, Outcome.WORKER_DIED)
        return self._move(JobState.PAUSED if self.pause_requested else JobState.QUEUED, Outcome.WORKER_DIED)

    def unadmit(self, dispatch: int) -> None:
        if self.state == JobState.QUEUED and self.dispatch == dispatch:
            self.dispatch += 1
            self.is_sent = False

    def delete(self) -> bool:
        """The document goes, and with it the right of whoever is at work to write."""
        self.is_deleted = True
        if self.state in FINAL:
            return False
        if self.state == JobState.RUNNING:
            self.attempts[self.fence] = Outcome.CANCELLED
        self.fence += 1
        return self._move(JobState.CANCELLED)

    def apply(self, action: Action) -> str | None:
        """What a user's wish comes to: `done`, `asked` of the worker, or nothing."""
        if self.state not in allowed(action) or (action == Action.RETRY and self.is_deleted):
            return None
        if self.state == JobState.RUNNING:
            return self._ask(action)
        if action == Action.RETRY:
            self.failures = self.crashes = 0
            self.progress = 0
        again = {Action.CANCEL: JobState.CANCELLED, Action.PAUSE: JobState.PAUSED}
        self._move(again.get(action, JobState.QUEUED))
        return "done"

    def _ask(self, action: Action) -> str | None:
        if self.cancel_requested or (action == Action.PAUSE and self.pause_requested):
            return None
        if action == Action.CANCEL:
            self.cancel_requested = True
        else:
            self.pause_requested = True
        return "asked"

    def _move(self, state: JobState, outcome: Outcome | None = None) -> bool:
        if outcome is not None:
            self.attempts[self.fence] = outcome
        if state not in FINAL:
            self.dispatch += 1
        self._become(state)
        self.seq += 1
        self.is_sent = self.is_lapsed = self.cancel_requested = self.pause_requested = False
        self.events.append((self.seq, events.type_of(state), state.value, self.fence))
        return True

    def _become(self, state: JobState) -> None:
        assert state in successors(self.state), f"{self.state} became {state}"
        self.state = state
