"""In which order a pipeline's stages may run. Values in, values out: workers and the API ask the same rule."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Fault", "Place", "faults"]

MOST_STAGES = 50
"""Of one job: each is a line in its history."""

Fault = tuple[int | None, str]
"""The index of the stage that is wrong, if it is one, and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the order must keep to for one stage of those that a pipeline can have."""

    needs: tuple[str, ...] = ()
    """Stages whose work it takes up: they run before it."""
    before: str | None = None
    """A stage that must not have run when this one does."""
    after: str | None = None
    """A stage that must have run, where the job has it."""
    optional: bool = True
    """Whether it may be left out, as far as no other stage needs it."""


def faults(names: Sequence[str], stages: Mapping[str, Place], last: str) -> Iterator[Fault]:
    """What keeps these stages from running in this order; nothing, if nothing does.

    `stages` are those that the pipeline can have. `last` is the one that ends it and stays behind all others. A stage
    stands behind those whose work it takes up, and on the side of its neighbour that it asked for; apart from that
    anywhere.
    """
    if len(names) > MOST_STAGES:
        yield None, f"At most {MOST_STAGES} stages can be named."
        return
    places = {name: index for index, name in reversed(list(enumerate(names)))}
    for index, name in enumerate(names):
        if name not in stages:
            yield index, f"No stage {name[:80]} can be had in this pipeline; there are {', '.join(stages)}."
        elif places[name] != index:
            yield index, f"The stage {name} is named {Counter(names)[name]} times; it can run once."
        else:
            yield from ((index, fault) for fault in _misplaced(name, stages[name], places))
    for name, stage in stages.items():
        if not stage.optional and name not in places:
            yield None, f"The stage {name} cannot be left out of this pipeline."
    if not names or names[-1] != last:
        yield len(names) - 1 if names else None, f"The stage {last} ends the job: it must be the last one."


def _misplaced(name: str, stage: Place, places: Mapping[str, int]) -> Iterator[str]:
    for needed in stage.needs:
        if places.get(needed, len(places)) > places[name]:
            yield f"The stage {name} takes up the work of {needed}, which must run before it."
    if stage.before and places.get(stage.before, len(places)) < places[name]:
        yield f"The stage {name} must run before {stage.before}."
    if stage.after and stage.after not in stage.needs and places.get(stage.after, -1) > places[name]:
        yield f"The stage {name} must run after {stage.after}."
