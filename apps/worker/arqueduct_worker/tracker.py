"""Turns what a stage reports in its own units into steps of the whole job."""

import asyncio
import threading
import time
from collections.abc import Sequence

from arqueduct import storable
from arqueduct.pipeline import Stage
from arqueduct.progress import Span, eta_seconds, overall, part, spans
from arqueduct.repositories.jobs import Claimed, Step
from arqueduct_worker.reporter import Reporter

__all__ = ["Tracker"]


class Tracker:
    """Where one attempt is. Overall progress never goes backwards, not even when a retry begins anew."""

    def __init__(self, job: Claimed, stages: Sequence[Stage], reporter: Reporter) -> None:
        self.stage = "queued"
        self._job = job
        self._reporter = reporter
        self._spans = spans(stages)
        self._whole = self._span = Span(start=0, end=0)
        self._began = time.monotonic()
        self.reached = job.progress
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def begin(self, stage: Stage) -> None:
        """The job enters a stage: always written and told."""
        self.stage = stage.label
        self._whole = self._span = self._spans[stage.name]
        self._say(0, 0, "", None, is_new_stage=True)

    def relabel(self, label: str, start: float, end: float) -> None:
        """The stage enters a part of its own, from `start` to `end` of it; from any thread."""
        if threading.get_ident() == self._thread:
            self.stage, self._span = label, part(self._whole, start, end)
            self._say(0, 0, "", None, is_new_stage=True)
        else:
            self._loop.call_soon_threadsafe(self.relabel, label, start, end)

    def report(self, done: int, total: int, unit: str, message: str | None) -> None:
        """How far the stage is; from any thread, as often as it likes."""
        if threading.get_ident() == self._thread:
            self._say(done, total, unit, message, is_new_stage=False)
        else:
            self._loop.call_soon_threadsafe(self.report, done, total, unit, message)

    def _say(self, done: int, total: int, unit: str, message: str | None, *, is_new_stage: bool) -> None:
        now = overall(self._span, done, total)
        self.reached = max(self.reached, now)
        self._reporter.say(
            Step(
                job_id=self._job.id,
                fence=self._job.fence,
                stage=self.stage,
                progress=self.reached,
                message=None if message is None else storable.text(message),
                details={"done": done, "total": total, "unit": unit} if unit else {},
                eta_seconds=eta_seconds(time.monotonic() - self._began, now),
                is_new_stage=is_new_stage,
            )
        )
