"""What workers have installed, as they tell it: pipelines, the stages each can have, and what options those take.

Values in, values out: the API checks profiles against it and never imports what a worker runs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from arqueduct.pipeline import Registry, Stage
from arqueduct.stage_order import Place

__all__ = ["Installed", "InstalledPipeline", "InstalledStage", "merged", "of_registry"]


class InstalledStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage, where a pipeline can have it."""

    name: str
    label: str
    version: str
    about: str
    needs: tuple[str, ...]
    before: str | None
    after: str | None
    optional: bool
    """Whether a profile may leave it out, as far as no other stage needs it."""
    options: dict[str, Any] | None
    """The JSON schema of its options; none: it takes none."""

    @property
    def place(self) -> Place:
        return Place(needs=self.needs, before=self.before, after=self.after, optional=self.optional)


class InstalledPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that profiles can name."""

    kind: str
    about: str
    stages: tuple[str, ...]
    """Those that run where a profile names none, in order of flow."""
    choice: tuple[InstalledStage, ...]
    """All that a profile can name, the usual ones first."""

    @property
    def last(self) -> str:
        """The stage that ends the job."""
        return self.stages[-1]

    def stage(self, name: str) -> InstalledStage | None:
        return next((stage for stage in self.choice if stage.name == name), None)


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one worker, or all of them, can run for a profile."""

    pipelines: tuple[InstalledPipeline, ...]
    kinds: tuple[str, ...] = ()
    """Of all pipelines that can run, those too that no profile is for."""

    def pipeline(self, kind: str) -> InstalledPipeline | None:
        return next((pipeline for pipeline in self.pipelines if pipeline.kind == kind), None)


def of_registry(registry: Registry, *, without: frozenset[str] = frozenset()) -> Installed:
    """What a worker with these packages tells. A pipeline that lacks a stage cannot run, and is left out."""
    kinds = [kind for kind in sorted(registry.kinds) if registry.can_run(kind, without=without)]
    offered = [kind for kind in kinds if _is_offered(registry, kind)]
    return Installed(pipelines=tuple(_pipeline(registry, kind, without) for kind in offered), kinds=tuple(kinds))


def merged(told: Iterable[Installed]) -> Installed:
    """Of several workers; where they differ about a pipeline, the first has it."""
    found: dict[str, InstalledPipeline] = {}
    kinds: set[str] = set()
    for installed in told:
        kinds.update(installed.kinds)
        for pipeline in installed.pipelines:
            found.setdefault(pipeline.kind, pipeline)
    return Installed(pipelines=tuple(found[kind] for kind in sorted(found)), kinds=tuple(sorted(kinds)))


def _is_offered(registry: Registry, kind: str) -> bool:
    pipeline = registry.pipeline(kind)
    return pipeline is not None and pipeline.for_profiles


def _pipeline(registry: Registry, kind: str, without: frozenset[str]) -> InstalledPipeline:
    declared = registry.pipeline(kind)
    usual: Sequence[Stage] = registry.stages(kind, without=without)
    return InstalledPipeline(
        kind=kind,
        about=declared.about if declared else "",
        stages=tuple(stage.name for stage in usual),
        choice=tuple(
            _stage(registry.stage(name), place) for name, place in registry.places(kind, without=without).items()
        ),
    )


def _stage(stage: Stage, place: Place) -> InstalledStage:
    return InstalledStage(
        name=stage.name,
        label=stage.label,
        version=stage.version,
        about=stage.about,
        needs=place.needs,
        before=place.before,
        after=place.after,
        optional=place.optional,
        options=None if stage.options is None else stage.options.model_json_schema(),
    )
