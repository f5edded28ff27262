"""The stage that pretends to work: what it draws, reports and fails by."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from arqueduct.errors import DocumentCorrupt, PermanentError, TimeIsUp, TransientError
from arqueduct.pipeline import StageContext
from arqueduct.testing import stage_context
from arqueduct_worker.stages.simulate import Simulate, SimulatedOutage, SimulateOptions, failure_of, steps_of

STEPS = [{"label": "reading", "seconds": 0, "units": 2}, {"label": "thinking", "seconds": 0.01, "units": 3}]


def context_of(folder: Path, attempt: int = 1, **options: Any) -> StageContext:
    context = stage_context(folder, labels=[], options={"simulate": SimulateOptions.model_validate(options)})
    context.job = replace(context.job, attempt=attempt)
    return context


def run(context: StageContext) -> None:
    asyncio.run(Simulate().run(context))


def test_steps_are_reported_under_their_labels(tmp_path: Path) -> None:
    labels: list[str] = []
    reports: list[Any] = []
    options = SimulateOptions.model_validate({"steps": STEPS})
    run(stage_context(tmp_path, labels=labels, reports=reports, options={"simulate": options}))
    assert labels == ["reading", "thinking"]
    assert reports == [(1, 2, "pages", None), (2, 2, "pages", None), *((n, 3, "pages", None) for n in (1, 2, 3))]


def test_a_failure_comes_on_its_attempt_with_its_code(tmp_path: Path) -> None:
    asked = {"steps": STEPS, "failures": [{"code": "provider_down", "permanent": False, "attempt": 2, "step": 2}]}
    run(context_of(tmp_path, 1, **asked))
    with pytest.raises(SimulatedOutage) as caught:
        run(context_of(tmp_path, 2, **asked))
    assert (caught.value.code, caught.value.retryable) == ("provider_down", True)
    assert SimulatedOutage.code == "simulated_outage", "other errors keep theirs"


def test_a_code_that_is_known_has_the_words_of_its_error(tmp_path: Path) -> None:
    with pytest.raises(DocumentCorrupt) as caught:
        run(context_of(tmp_path, failures=[{"code": "document_corrupt"}], steps=STEPS))
    assert (caught.value.message, caught.value.advice) == (DocumentCorrupt().message, DocumentCorrupt.advice)


def test_with_a_seed_everything_comes_again(tmp_path: Path) -> None:
    asked = {"seed": 7, "failure_probability": 0.5}
    first, again, third = (context_of(tmp_path, attempt, **asked).job for attempt in (1, 1, 3))
    options = SimulateOptions.model_validate(asked)
    assert first.job_id != again.job_id
    assert steps_of(options, first) == steps_of(options, again) == steps_of(options, third)
    assert failure_of(options, first, 4) == failure_of(options, again, 4)
    assert steps_of(options.model_copy(update={"seed": 8}), first) != steps_of(options, first)


def test_as_many_fail_as_are_likely_to(tmp_path: Path) -> None:
    job = context_of(tmp_path).job
    options = SimulateOptions(failure_probability=0.3, permanent_share=0.5, seed=1)
    found = [failure_of(options, replace(job, attempt=attempt), 4) for attempt in range(1, 1001)]
    failed = [failure for failure in found if failure]
    assert 230 < len(failed) < 370
    assert 0.35 < sum(failure.permanent for failure in failed) / len(failed) < 0.65
    assert {failure.step for failure in failed} == {1, 2, 3, 4}


def test_a_soft_limit_is_heard_between_two_units(tmp_path: Path) -> None:
    context = context_of(tmp_path, steps=STEPS)
    context.is_time_up = True
    with pytest.raises(TimeIsUp):
        run(context)


@pytest.mark.parametrize(("permanent", "kind"), [(True, PermanentError), (False, TransientError)])
def test_a_known_code_of_the_other_kind_is_as_permanent_as_asked(
    tmp_path: Path, permanent: bool, kind: type[Exception]
) -> None:
    code = "dependency_unavailable" if permanent else "document_corrupt"
    with pytest.raises(kind) as caught:
        run(context_of(tmp_path, steps=STEPS, failures=[{"code": code, "permanent": permanent}]))
    assert caught.value.code == code  # type: ignore[attr-defined]  # both kinds have one


@pytest.mark.parametrize("label", ["completed", "queued", "Upper", ""])
def test_a_label_cannot_be_taken_for_a_state(label: str) -> None:
    with pytest.raises(ValidationError):
        SimulateOptions.model_validate({"steps": [{"label": label}]})


def test_the_steps_of_a_job_are_bounded_together() -> None:
    step = {"label": "reading", "seconds": 0, "units": 1000}
    SimulateOptions.model_validate({"steps": [step] * 5})
    with pytest.raises(ValidationError, match="5,000 units in all"):
        SimulateOptions.model_validate({"steps": [step] * 6})


def test_steps_that_are_drawn_are_bounded_as_those_that_are_scripted() -> None:
    drawn = {"steps": 50, "most_units": 1000}
    SimulateOptions.model_validate({"random": {"steps": 50, "most_units": 100}})
    with pytest.raises(ValidationError, match="5,000 units in all"):
        SimulateOptions.model_validate({"random": drawn})
    SimulateOptions.model_validate({"steps": STEPS, "random": drawn})
