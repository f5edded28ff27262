from dataclasses import replace

import msgspec
import pytest

from arqueduct.errors import PipelineUnknown, SetupError, StagesInvalid
from arqueduct.installed import Installed, merged, of_registry
from arqueduct.pipeline import Pipeline, Registry, Stage, StageContext, registry


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


class Simulate(Cut):
    name = "simulate"
    label = "simulating"
    anywhere = True


PRETENCE = Pipeline(kind="pretence", stages=("simulate",))


def names_of(found: Registry, *only: str, kind: str = "craft", without: frozenset[str] = frozenset()) -> list[str]:
    return [stage.name for stage in found.stages(kind, only=only, without=without)]


def test_a_profile_leaves_out_only_what_says_that_it_may_be() -> None:
    class Polish(Sand):
        name = "polish"
        optional = True

    found = Registry([CRAFT], [Cut(), Glue(), Sand(), Polish()])
    assert names_of(found, "cut", "sand", "glue") == ["cut", "sand", "glue"]
    with pytest.raises(StagesInvalid, match="sand cannot be left out"):
        names_of(found, "cut", "glue")
    assert names_of(found, "cut", "glue", without=frozenset({"sand"})) == ["cut", "glue"], "who runs it may"


def test_a_profile_names_the_stages_and_their_order() -> None:
    found = Registry([CRAFT, PRETENCE], [Cut(), Glue(), Sand(), Simulate()])
    assert names_of(found, "sand", "simulate", "cut", "glue") == ["sand", "simulate", "cut", "glue"]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (("glue", "cut"), "glue takes up the work of cut"),
        (("glue",), "glue takes up the work of cut"),
        (("cut", "oil", "glue"), "No stage oil"),
        (("cut", "glue", "simulate"), "glue ends the job"),
    ],
)
def test_an_order_that_cannot_work_is_a_permanent_error(only: tuple[str, ...], said: str) -> None:
    with pytest.raises(StagesInvalid, match=said):
        names_of(Registry([CRAFT], [Cut(), Glue(), Oil(), Simulate()]), *only)


def test_a_stage_says_itself_what_it_needs() -> None:
    class Freehand(Glue):
        needs = ()

    assert names_of(Registry([CRAFT], [Cut(), Freehand()]), "glue") == ["glue"]


def test_a_stage_that_is_left_out_here_fails_loudly_when_it_is_asked_for() -> None:
    found = Registry([CRAFT, PRETENCE], [Cut(), Glue(), Sand(), Simulate()])
    for name in ("sand", "simulate"):
        with pytest.raises(StagesInvalid, match=name):
            names_of(found, "cut", name, "glue", without=frozenset({name}))
    with pytest.raises(PipelineUnknown, match="simulate"):
        found.stages("pretence", without=frozenset({"simulate"}))


def test_built_in_stages_have_to_be_kept_in_order() -> None:
    found = registry()
    usual = [stage.name for stage in found.stages("document.ingest")]
    assert names_of(found, *usual, kind="document.ingest") == usual
    with pytest.raises(StagesInvalid, match="store takes up the work of embed"):
        names_of(found, "download", "extract", "chunk", "store", kind="document.ingest")
    with pytest.raises(StagesInvalid, match="No stage deliver"):
        names_of(found, "deliver", *usual, kind="document.ingest")


def test_profiles_are_offered_what_says_so_and_can_run() -> None:
    told = of_registry(registry())
    assert [pipeline.kind for pipeline in told.pipelines] == ["document.ingest", "document.simulate"]
    ingest = told.pipelines[0]
    assert {"download", "store", "simulate"} <= {stage.name for stage in ingest.choice}
    assert ingest.stage("store") == msgspec.structs.replace(ingest.choice[4], options=None)
    assert [pipeline.kind for pipeline in of_registry(registry(), without=frozenset({"simulate"})).pipelines] == [
        "document.ingest"
    ]
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(told)), Installed) == told


def test_of_workers_that_differ_the_first_has_it() -> None:
    old = of_registry(Registry([replace(CRAFT, for_profiles=True)], [Cut(), Glue()]))
    new = of_registry(Registry([replace(CRAFT, for_profiles=True), replace(PRETENCE, for_profiles=True)], [Simulate()]))
    assert [pipeline.kind for pipeline in merged([new, old]).pipelines] == ["craft", "pretence"]
