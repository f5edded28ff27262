import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from arqueduct.errors import OptionsInvalid
from arqueduct.pipeline import Stage, StageContext, registry
from arqueduct.progress import Span, part
from arqueduct.stage_options import Options, llm_of, options_of
from arqueduct.testing import stage_context


class PaintOptions(Options):
    coats: int = 1
    """How often."""


class Paint(Stage):
    name, label = "paint", "painting"
    options = PaintOptions

    async def run(self, context: StageContext) -> None:
        coats = context.options_of(self, PaintOptions).coats
        for coat in range(coats):
            context.relabel(f"coat {coat + 1}", coat / coats, (coat + 1) / coats)
            context.progress(1, 1, "coats")


class Plain(Stage):
    name, label = "plain", "planing"

    async def run(self, context: StageContext) -> None: ...


def test_options_are_read_by_the_stage_that_declares_them() -> None:
    found = options_of([Paint(), Plain()], {"paint": {"coats": 3}, "plain": {}})
    assert found == {"paint": PaintOptions(coats=3)}
    assert options_of([Paint()], None) == {"paint": PaintOptions()}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"paint": {"coats": "many"}}, r"paint\.coats: Input should be a valid integer"),
        ({"paint": {"colour": "red"}}, r"paint\.colour: Extra inputs are not permitted"),
        ({"plain": {"depth": 1}}, "given for plain"),
        ({"saw": {"depth": 1}}, "given for saw"),
        ({"paint": 3}, "are objects"),
        ([], "are objects"),
    ],
)
def test_options_that_no_stage_takes_are_a_permanent_error(given: object, said: str) -> None:
    with pytest.raises(OptionsInvalid, match=said) as caught:
        options_of([Paint(), Plain()], given)
    assert "many" not in caught.value.message, "values may be secret"


def test_a_stage_reads_its_options_and_names_its_parts(tmp_path: Path) -> None:
    labels: list[str] = []
    context = stage_context(tmp_path, labels=labels, options={"paint": PaintOptions(coats=2)})
    asyncio.run(Paint().run(context))
    assert labels == ["coat 1", "coat 2"]
    assert context.options_of(Plain(), PaintOptions) == PaintOptions(), "the defaults"


def test_a_part_of_a_span_stays_inside_of_it() -> None:
    whole = Span(start=0.2, end=0.6)
    assert (part(whole, 0.25, 0.5).start, part(whole, 0.25, 0.5).end) == pytest.approx((0.3, 0.4))
    assert part(whole, -1, 7) == whole
    assert part(whole, 0.9, 0.1).end == part(whole, 0.9, 0.1).start


def test_options_of_built_in_stages_do_not_change_and_say_what_each_is_for() -> None:
    stages = {stage.name: stage for kind in registry().kinds for stage in registry().stages(kind)}
    assert {name for name, stage in stages.items() if stage.options} >= {"extract", "chunk", "embed", "simulate"}
    assert stages["store"].options is None
    for stage in stages.values():
        if stage.options:
            assert all(field.description for field in stage.options.model_fields.values()), stage.name
            with pytest.raises(ValidationError, match="frozen"):
                stage.options().__setattr__(next(iter(stage.options.model_fields)), None)


def test_what_is_said_about_a_language_model_is_checked_too() -> None:
    assert llm_of({"model": "x", "temperature": 0}).temperature == 0
    assert llm_of(None).model is None
    with pytest.raises(OptionsInvalid, match=r"llm\.temperature"):
        llm_of({"temperature": 3})
