"""Whether what is installed can carry out a profile. Values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from arqueduct import stage_order
from arqueduct.installed import Installed, InstalledPipeline
from arqueduct.profiles import ProfileSettings

__all__ = ["Fault", "faults"]

MOST_FAULTS = 20
LONGEST_DETAIL = 300
HIDDEN = "the value"
"""In place of values, which may be secret or huge."""

Fault = dict[str, str]
"""`detail`, and `pointer`: where in the body, as a JSON pointer."""


def faults(settings: ProfileSettings, installed: Installed, *, embedder: str) -> list[Fault]:
    """What is wrong, where; nothing, if jobs can run with it. `embedder`: the model that is installed."""
    return [
        {"detail": detail[:LONGEST_DETAIL], "pointer": _pointer(path)}
        for _, (path, detail) in zip(range(MOST_FAULTS), _faults(settings, installed, embedder), strict=False)
    ]


def _faults(
    settings: ProfileSettings, installed: Installed, embedder: str
) -> Iterator[tuple[Sequence[str | int], str]]:
    if settings.embedder not in (None, embedder):
        yield ["embedder"], f"Not installed: the embedding model here is {embedder}."
    pipeline = installed.pipeline(settings.pipeline)
    if pipeline is None:
        there = ", ".join(pipeline.kind for pipeline in installed.pipelines)
        yield ["pipeline"], f"No worker has a pipeline of this kind for profiles; there are {there}."
        return
    if settings.stages is not None:
        choice = {stage.name: stage.place for stage in pipeline.choice}
        for index, detail in stage_order.faults(settings.stages, choice, pipeline.last):
            yield ["stages"] if index is None else ["stages", index], detail
    for name, options in settings.options.items():
        for path, detail in _faults_of_options(pipeline, settings, name, options):
            yield ["options", name, *path], detail


def _faults_of_options(
    pipeline: InstalledPipeline, settings: ProfileSettings, name: str, options: Mapping[str, Any]
) -> Iterator[tuple[Sequence[str | int], str]]:
    runs = pipeline.stages if settings.stages is None else settings.stages
    stage = pipeline.stage(name) if name in runs else None
    if stage is None:
        yield [], f"No such stage runs; those of this profile are {', '.join(runs)}."
    elif stage.options is None and options:
        yield [], "This stage takes no options."
    elif stage.options is not None:
        # Schemas come from workers and refer to nothing outside of them.
        validator = jsonschema_rs.validator_for(stage.options, mask=HIDDEN, offline=True)
        for error in validator.iter_errors(options):
            yield from ((meant.instance_path, meant.message) for meant in _meant(error))


def _meant(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    """Of alternatives, mostly a value or null, what is wrong with the one whose type fits."""
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        for alternative in error.kind.context:
            if not any(_is_type(inner) and inner.instance_path == error.instance_path for inner in alternative):
                for inner in alternative:
                    yield from _meant(inner)
                return
    yield error


def _is_type(error: jsonschema_rs.ValidationError) -> bool:
    return isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Type)


def _pointer(path: Sequence[str | int]) -> str:
    """From the body's root (RFC 6901)."""
    steps = (str(step)[:100].replace("~", "~0").replace("/", "~1") for step in ("settings", *path))
    return "#" + "".join(f"/{step}" for step in steps)
