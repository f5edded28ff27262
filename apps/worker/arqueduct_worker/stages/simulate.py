"""Pretends to work: takes time, tells how far it is, and fails when it is told to. For whoever builds on the API.

It stands here and not in `arqueduct.testing`: a front end is tried against the service as it is deployed, and what a
worker runs is in the worker's package. It is a stage like any plugin's, and needs no model and no file.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Annotated, Self

from pydantic import Field, model_validator

from arqueduct.errors import ArqueductError, PermanentError, TransientError, by_code
from arqueduct.lifecycle import JobState
from arqueduct.naming import Label
from arqueduct.pipeline import Errand, Stage, StageContext, Subject
from arqueduct.stage_options import Options

__all__ = ["Simulate", "SimulateOptions", "SimulatedFailure", "SimulatedOutage", "failure_of", "steps_of"]

TICK_SECONDS = 0.25
"""Longest pause at a stretch: how late a soft limit is heard."""
MOST_STEPS = 50
MOST_UNITS = 1000
MOST_UNITS_IN_ALL = 5000
"""Each is told, and takes a worker's loop some twenty microseconds although nothing is done."""
MOST_SECONDS = 3600.0
LABELS = ("downloading", "extracting", "chunking", "embedding", "storing", "reviewing", "summarising", "translating")
"""Of random steps, in this order and then over again."""

StepLabel = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_ -]{0,39}$",
        examples=["extracting"],
        json_schema_extra={"not": {"enum": sorted(JobState)}},
    ),
]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["document_corrupt"])]


class SimulatedFailure(PermanentError):
    """This failure was asked for."""

    advice = "Nothing is wrong: the options of the stage `simulate` say that it fails."


class SimulatedOutage(TransientError):
    """This failure was asked for, and trying again may help."""

    advice = "Nothing is wrong: the options of the stage `simulate` say that it fails, and it is tried again by itself."


class Step(Options):
    """A part of the work, under a label of its own."""

    label: StepLabel
    """What clients see as the stage meanwhile."""
    seconds: float = Field(default=1.0, ge=0, le=MOST_SECONDS, examples=[2.5])
    """How long it takes."""
    units: int = Field(default=10, ge=1, le=MOST_UNITS, examples=[20])
    """How much there is to do; each takes the same time."""
    unit: str = Field(default="pages", pattern=r"^[a-z]{1,20}$", examples=["pages"])
    """What is counted."""

    @model_validator(mode="after")
    def _is_no_state(self) -> Self:
        if self.label in set(JobState):
            raise ValueError(f"{self.label} is the state of a job: clients could not tell it from the end")
        return self


class RandomSteps(Options):
    """Steps that are drawn."""

    steps: int = Field(default=4, ge=1, le=MOST_STEPS, examples=[4])
    """How many."""
    seconds_from: float = Field(default=0.2, ge=0, le=MOST_SECONDS, examples=[0.2])
    """Each takes at least so long …"""
    seconds_to: float = Field(default=2.0, ge=0, le=MOST_SECONDS, examples=[2])
    """… and at most so long."""
    most_units: int = Field(default=20, ge=1, le=MOST_UNITS, examples=[20])
    """Units of a step, at most."""


class Failure(Options):
    """A failure that is certain."""

    code: Code = "simulated_failure"
    """The code of its error: one of docs/errors.md, which then has that error's words, or any other."""
    message: Label | None = None
    """What the error says."""
    permanent: bool = True
    """Whether the job fails at once; else it is tried again, as for any error that may pass."""
    attempt: int | None = Field(default=None, ge=1, le=1000, examples=[1])
    """On which attempt of the job; null: on each."""
    step: int = Field(default=1, ge=1, le=MOST_STEPS, examples=[1])
    """In the middle of which step, from 1; of fewer steps in the last."""


class SimulateOptions(Options):
    """What is pretended: scripted steps, or random ones."""

    steps: tuple[Step, ...] = Field(
        default=(), max_length=MOST_STEPS, examples=[[{"label": "extracting", "seconds": 2}]]
    )
    """One after the other. None: they are drawn as `random` says."""
    random: RandomSteps = RandomSteps()
    """Where `steps` names none."""
    failures: tuple[Failure, ...] = Field(default=(), max_length=20, examples=[[{"code": "document_corrupt"}]])
    """The first that fits the attempt happens."""
    failure_probability: float = Field(default=0.0, ge=0, le=1, examples=[0.1])
    """With which an attempt fails in some step, where none of `failures` fits."""
    permanent_share: float = Field(default=0.5, ge=0, le=1, examples=[0.5])
    """Of those failures: how many are permanent."""
    seed: int | None = Field(default=None, ge=0, le=2**53, examples=[7])
    """The same file, attempt and seed give the same steps and failures. Null: each job draws anew."""

    @model_validator(mode="after")
    def _is_not_too_much(self) -> Self:
        drawn = self.random.steps * self.random.most_units
        if (sum(step.units for step in self.steps) if self.steps else drawn) > MOST_UNITS_IN_ALL:
            raise ValueError(f"the steps may have more than {MOST_UNITS_IN_ALL:,} units in all")
        return self


class Simulate(Stage):
    """Counts what its steps count."""

    name = "simulate"
    label = "simulating"
    weight = 1.0
    about = "Pretends to work: takes time, tells how far it is, fails when told to."
    anywhere = True
    options = SimulateOptions

    async def run(self, context: StageContext) -> None:
        options = context.options_of(self, SimulateOptions)
        steps = steps_of(options, context.job)
        failure = failure_of(options, context.job, len(steps))
        for number, (step, start, end) in enumerate(_shares(steps), 1):
            context.relabel(step.label, start, end)
            failing = failure if failure and failure.step == number else None
            for done in range(step.units):
                if failing and done >= step.units // 2:
                    raise _error(failing)
                await _pass(context, step.seconds / step.units)
                context.progress(done + 1, step.units, step.unit)


def steps_of(options: SimulateOptions, job: Errand) -> Sequence[Step]:
    """Those that are scripted, or drawn: the same ones in each attempt at a job."""
    if options.steps:
        return options.steps
    drawn, random = options.random, _random(options, job)
    shortest, longest = sorted((drawn.seconds_from, drawn.seconds_to))
    return [
        Step(
            label=LABELS[number % len(LABELS)],
            seconds=random.uniform(shortest, longest),
            units=random.randint(1, drawn.most_units),
        )
        for number in range(drawn.steps)
    ]


def failure_of(options: SimulateOptions, job: Errand, steps: int) -> Failure | None:
    """What happens to this attempt, and in which of its steps."""
    for failure in options.failures:
        if failure.attempt in (None, job.attempt):
            return failure.model_copy(update={"step": min(failure.step, steps)})
    random = _random(options, job, job.attempt)
    if random.random() >= options.failure_probability:
        return None
    is_permanent = random.random() < options.permanent_share
    code = SimulatedFailure.code if is_permanent else SimulatedOutage.code
    return Failure(code=code, permanent=is_permanent, step=random.randint(1, steps))


def _random(options: SimulateOptions, job: Errand, *more: int) -> Random:
    """With a seed it is the file that decides, so that the documents of a set differ, and a second run does not."""
    of_what = job.job_id if options.seed is None else job.sha256 if isinstance(job, Subject) else ""
    return Random(f"{options.seed} {of_what} {more}")  # noqa: S311  # nothing is kept secret by it


def _error(failure: Failure) -> ArqueductError:
    """The error of that code, where there is one and it is as permanent as asked."""
    usual, kind = (SimulatedFailure, PermanentError) if failure.permanent else (SimulatedOutage, TransientError)
    known = by_code(failure.code)
    error = (known if issubclass(known, kind) else usual)(failure.message)
    error.code = failure.code
    return error


async def _pass(context: StageContext, seconds: float) -> None:
    ticks = max(1, math.ceil(seconds / TICK_SECONDS))
    for _ in range(ticks):
        context.checkpoint()
        await asyncio.sleep(seconds / ticks)


def _shares(steps: Sequence[Step]) -> Iterator[tuple[Step, float, float]]:
    """Each step with its part of the stage's progress: by its time, or by its units where none takes any."""
    whole = sum(step.seconds for step in steps)
    sizes = [step.seconds if whole else step.units for step in steps]
    reached = 0.0
    for step, size in zip(steps, sizes, strict=True):
        start, reached = reached, reached + size
        yield step, start / sum(sizes), min(1.0, reached / sum(sizes))
