"""How wrong the estimates of a run were: what was told on the way, beside what came."""

import asyncio
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from arqueduct.cli.client import Client
from arqueduct.cli.feed import Progress
from arqueduct.cli.uploads import Item, Summary, View
from arqueduct.errors import ArqueductError
from arqueduct.lifecycle import JobState

__all__ = ["EtaErrors", "EtaWatch", "Phase", "Sample", "errors_of"]

SHORTEST = 1.0
"""Seconds left; of less than this nobody needs an estimate, and whole seconds say nothing."""
SAMPLE_SECONDS = 1.0
"""Between two samples of one job: one that talks much counts no more than others."""
ASKED_AT_ONCE = 10
"""Waiting jobs that are asked for in one round, the first of the line and others spread over it."""

Phase = Literal["running", "queued"]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of one job at one moment."""

    job_id: str
    at: float
    phase: Phase
    seconds: int | None
    range: list[int] | None


class EtaErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Of the samples with a second or more to go."""

    samples: int
    unknown: float
    """Share of them without an estimate."""
    median_relative_error: float | None
    """Of the others: |told - came| / came."""
    within_range: float | None
    """Share of the others whose end came within the range that was told."""


def errors_of(samples: Iterable[Sample], ends: Mapping[str, float]) -> dict[Phase, EtaErrors]:
    """`ends`: when each job that completed did so; samples of others say nothing."""
    counted = [
        (sample, left)
        for sample in samples
        if (end := ends.get(sample.job_id)) is not None and (left := end - sample.at) >= SHORTEST
    ]
    phases: tuple[Phase, ...] = ("queued", "running")
    return {phase: _errors([each for each in counted if each[0].phase == phase]) for phase in phases}


def _errors(counted: Sequence[tuple[Sample, float]]) -> EtaErrors:
    told = [(sample, left) for sample, left in counted if sample.seconds is not None]
    errors = [abs((sample.seconds or 0) - left) / left for sample, left in told]
    held = [sample.range[0] <= left <= sample.range[1] for sample, left in told if sample.range]
    return EtaErrors(
        samples=len(counted),
        unknown=round(1 - len(told) / len(counted), 4) if counted else 0.0,
        median_relative_error=round(statistics.median(errors), 4) if errors else None,
        within_range=round(sum(held) / len(held), 4) if held else None,
    )


class EtaWatch:
    """Stands between a run and its view, and remembers what was told: of jobs that run as the socket has it, of those
    that wait as `GET /jobs/{id}` does."""

    def __init__(self, view: View, client: Client) -> None:
        self._view = view
        self._client = client
        self._samples: list[Sample] = []
        self._sampled: dict[str, float] = {}
        self._waiting: dict[str, None] = {}
        self._ends: dict[str, float] = {}

    def errors(self) -> dict[Phase, EtaErrors]:
        return errors_of(self._samples, self._ends)

    async def ask(self) -> None:
        """Asks for jobs that wait, for as long as the task lives."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            waiting = list(self._waiting)
            step = max(1, len(waiting) // ASKED_AT_ONCE)
            for job_id in waiting[::step]:
                with suppress(ArqueductError):  # a failure shows in the run itself
                    job = await self._client.get(f"/jobs/{job_id}")
                    self._take(msgspec.convert({"job_id": job["id"], **job}, Progress))

    def begin(self, items: Sequence[Item]) -> None:
        self._view.begin(items)

    def uploading(self, item: Item) -> None:
        self._view.uploading(item)

    def refused(self, item: Item) -> None:
        self._view.refused(item)

    def accepted(self, item: Item) -> None:
        if item.job_id is not None and item.job_id not in self._ends:
            self._waiting[item.job_id] = None
        self._view.accepted(item)

    def moved(self, item: Item) -> None:
        if item.progress is not None and item.progress.state is JobState.RUNNING:
            self._waiting.pop(item.progress.job_id, None)
            self._take(item.progress)
        self._view.moved(item)

    def ended(self, item: Item) -> None:
        if item.job_id is not None:
            self._waiting.pop(item.job_id, None)
            if item.is_good and item.ended is not None:
                self._ends[item.job_id] = item.ended
        self._view.ended(item)

    def finish(self, summary: Summary) -> None:
        self._view.finish(summary)

    def _take(self, told: Progress) -> None:
        now = time.monotonic()
        phase: Phase = "queued" if told.state is JobState.QUEUED else "running"
        if told.is_final or now - self._sampled.get(f"{phase} {told.job_id}", float("-inf")) < SAMPLE_SECONDS:
            return
        self._sampled[f"{phase} {told.job_id}"] = now
        self._samples.append(
            Sample(job_id=told.job_id, at=now, phase=phase, seconds=told.eta_seconds, range=told.eta_range)
        )
