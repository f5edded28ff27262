"""Turns what a stage reports in its own units into steps of the whole job, with an estimate of what is left."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence

from arqueduct import storable
from arqueduct.eta import Estimate, Part, Rates, left_of_job
from arqueduct.pipeline import Stage
from arqueduct.progress import Span, overall, part, share, spans
from arqueduct.repositories.jobs import Claimed, Step
from arqueduct_worker.reporter import Reporter
from arqueduct_worker.run_log import NOTHING_KNOWN, About

__all__ = ["Tracker"]

ESTIMATE_SECONDS = 0.1
"""An estimate is good for so long, however often a stage reports: it takes some tens of microseconds."""

LATELY = 0.25
"""Of the time a stage has taken: what it did since then is its pace of late."""
KEPT_REPORTS = 64
"""As many reach back over more than half of a stage: each is kept at least a `KEPT_REPORTS`th of its time after the
one before."""


class Tracker:
    """Where one attempt is. Overall progress never goes backwards, not even when a retry begins anew."""

    def __init__(self, job: Claimed, stages: Sequence[Stage], reporter: Reporter, rates: Rates) -> None:
        self.stage = "queued"
        self.about: About = NOTHING_KNOWN
        """The document; known after the job."""
        self._job = job
        self._reporter = reporter
        self._rates = rates
        self._stages = stages
        self._spans = spans(stages)
        self._whole = self._span = Span(start=0, end=0)
        self._at = -1
        self._parts: list[Part] = []
        self._reports: deque[tuple[float, float]] = deque(maxlen=KEPT_REPORTS)
        self._began = time.monotonic()
        self._estimate: Estimate | None = None
        self._estimated = float("-inf")
        self.reached = job.progress
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def begin(self, stage: Stage) -> None:
        """The job enters a stage: always written and told."""
        self._turn_to(stage)
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

    def _turn_to(self, stage: Stage) -> None:
        now = time.monotonic()
        if not self._parts:
            self._parts = [self._part(each) for each in self._stages]
        if self._at >= 0:
            over = self._parts[self._at]
            self._parts[self._at] = Part(weight=over.weight, guess=over.guess, spent=now - self._began)
        self._at = next(number for number, each in enumerate(self._stages) if each.name == stage.name)
        self._began = now
        self._reports.clear()

    def _part(self, stage: Stage) -> Part:
        about = self.about
        guess = self._rates.guess(self._job.kind, stage.name, about.content_type, about.size)
        return Part(weight=stage.weight, guess=guess)

    def _left(self, done: int, total: int) -> Estimate | None:
        now = time.monotonic()
        if self._at >= 0 and now - self._estimated >= ESTIMATE_SECONDS:
            done_of_it = self._share(done, total)
            recent = self._recent(now, done_of_it)
            self._estimate = left_of_job(self._parts, self._at, now - self._began, done_of_it, recent)
            self._estimated = now
        return self._estimate

    def _share(self, done: int, total: int) -> float:
        """Of the whole stage, be it in a part of its own."""
        length = self._whole.end - self._whole.start
        return (overall(self._span, done, total) - self._whole.start) / length if length > 0 else share(done, total)

    def _recent(self, now: float, done: float) -> float | None:
        """Share of the stage a second, since what was reported a quarter of its time ago."""
        before = now - LATELY * (now - self._began)
        old = next(((at, had) for at, had in reversed(self._reports) if at <= before), None)
        if not self._reports or self._is_news(now, done):
            self._reports.append((now, done))
        if old is None:
            return None
        at, had = old
        return max(done - had, 0.0) / (now - at) if now > at else None

    def _is_news(self, now: float, done: float) -> bool:
        at, had = self._reports[-1]
        return had < done and now - at >= (now - self._began) / KEPT_REPORTS

    def _say(self, done: int, total: int, unit: str, message: str | None, *, is_new_stage: bool) -> None:
        self.reached = max(self.reached, overall(self._span, done, total))
        left = self._left(done, total)
        self._reporter.say(
            Step(
                job_id=self._job.id,
                fence=self._job.fence,
                stage=self.stage,
                progress=self.reached,
                message=None if message is None else storable.text(message),
                details={"done": done, "total": total, "unit": unit} if unit else {},
                eta_seconds=left.seconds if left else None,
                eta_range=left.range if left else None,
                is_new_stage=is_new_stage,
            )
        )
