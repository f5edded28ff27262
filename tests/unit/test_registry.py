import pytest

from arqueduct.errors import PipelineUnknown, SetupError
from arqueduct.pipeline import Pipeline, Registry, Stage, StageContext


class Cut(Stage):
    name = "cut"
    label = "cutting"

    async def run(self, context: StageContext) -> None: ...


class Glue(Cut):
    name = "glue"
    label = "gluing"


class Sand(Cut):
    name = "sand"
    label = "sanding"
    pipeline = "craft"
    before = "glue"


class Paint(Cut):
    name = "paint"
    label = "painting"
    pipeline = "craft"
    after = "glue"


class Oil(Cut):
    name = "oil"
    label = "oiling"


CRAFT = Pipeline(kind="craft", stages=("cut", "glue"))
FURNITURE = Pipeline(kind="craft", stages=("cut", "glue", "oil"))


def test_an_added_stage_stands_where_it_asked_to() -> None:
    found = Registry([FURNITURE], [Cut(), Glue(), Oil(), Sand(), Paint()])
    assert [stage.name for stage in found.stages("craft")] == ["cut", "sand", "glue", "paint", "oil"]


def test_an_added_stage_can_be_left_out() -> None:
    found = Registry([CRAFT], [Cut(), Glue(), Sand()])
    assert [stage.name for stage in found.stages("craft", without=frozenset({"sand"}))] == ["cut", "glue"]


def test_an_unknown_kind_is_a_permanent_error() -> None:
    with pytest.raises(PipelineUnknown, match="weave"):
        Registry([CRAFT], [Cut(), Glue()]).stages("weave")


def test_a_pipeline_with_a_missing_stage_says_which() -> None:
    with pytest.raises(PipelineUnknown, match="glue"):
        Registry([CRAFT], [Cut()]).stages("craft")


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(SetupError, match="cut"):
        Registry([CRAFT], [Cut(), Cut()])


def test_a_neighbour_that_is_not_there_is_named() -> None:
    class Lost(Sand):
        name = "lost"
        before = "saw"

    with pytest.raises(SetupError, match="saw in craft"):
        Registry([CRAFT], [Cut(), Glue(), Lost()])


def test_nothing_stands_after_the_stage_that_ends_the_job() -> None:
    with pytest.raises(SetupError, match="let it stand before"):
        Registry([CRAFT], [Cut(), Glue(), Paint()])
