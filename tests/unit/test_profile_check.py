"""Whether what is installed can carry out a profile: what is wrong, and where in the body."""

from typing import Any

import pytest

from arqueduct.installed import of_registry
from arqueduct.pipeline import registry
from arqueduct.profiles import DEFAULT, Profile, ProfileSettings, payload_of
from arqueduct_backend.profile_check import MOST_FAULTS, faults

INSTALLED = of_registry(registry())
USUAL = ["download", "extract", "chunk", "embed", "store"]


def wrong(**settings: Any) -> list[dict[str, str]]:
    return faults(ProfileSettings.model_validate(settings), INSTALLED, embedder="minilm")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"embedder": "minilm"},
        {"stages": USUAL, "options": {"chunk": {"size": 500, "overlap": None}, "store": {}}},
        {"stages": ["simulate", *USUAL], "options": {"simulate": {"steps": [{"label": "thinking"}]}}},
        {"pipeline": "document.simulate", "options": {"simulate": {"failure_probability": 0.5, "seed": 1}}},
    ],
)
def test_what_can_be_carried_out_is_right(settings: dict[str, Any]) -> None:
    assert wrong(**settings) == []


@pytest.mark.parametrize(
    ("settings", "pointer", "said"),
    [
        ({"pipeline": "document.weave"}, "#/settings/pipeline", "there are document.ingest, document.simulate"),
        ({"pipeline": "webhook.deliver"}, "#/settings/pipeline", "no worker has"),
        ({"embedder": "large"}, "#/settings/embedder", "here is minilm"),
        ({"stages": ["extract", *USUAL[2:]]}, "#/settings/stages/0", "takes up the work of download"),
        ({"stages": [*USUAL, "simulate"]}, "#/settings/stages/5", "store ends the job"),
        ({"stages": []}, "#/settings/stages", "store ends the job"),
        ({"options": {"chunk": {"size": 1}}}, "#/settings/options/chunk/size", "is less than the minimum of 100"),
        ({"options": {"chunk": {"colour": 1}}}, "#/settings/options/chunk", "additional properties"),
        ({"options": {"store": {"size": 1}}}, "#/settings/options/store", "takes no options"),
        ({"options": {"a/b~c": {"size": 1}}}, "#/settings/options/a~1b~0c", "no such stage runs"),
        ({"options": {"simulate": {}}}, "#/settings/options/simulate", "no such stage runs"),
        (
            {"pipeline": "document.simulate", "options": {"simulate": {"steps": [{"label": "completed"}]}}},
            "#/settings/options/simulate/steps/0/label",
            "",
        ),
    ],
)
def test_what_is_wrong_is_said_where(settings: dict[str, Any], pointer: str, said: str) -> None:
    (fault,) = wrong(**settings)
    assert fault["pointer"] == pointer
    assert said in fault["detail"].lower()


def test_values_are_not_repeated_and_faults_are_counted() -> None:
    (fault,) = wrong(options={"chunk": {"size": "secret"}})
    assert "secret" not in fault["detail"]
    many = {f"stage {number}": {} for number in range(100)}
    assert len(wrong(options=many)) == MOST_FAULTS


def test_a_job_carries_all_that_its_stages_need() -> None:
    settings = ProfileSettings.model_validate(
        {"stages": USUAL, "options": {"chunk": {"size": 500}}, "llm": {"model": "x"}}
    )
    assert payload_of(Profile(id=None, name="long", version=3, settings=settings)) == {
        "profile": {"id": None, "name": "long", "version": 3},
        "stages": USUAL,
        "options": {"chunk": {"size": 500}},
        "llm": {"model": "x"},
    }
    assert payload_of(DEFAULT)["stages"] is None
