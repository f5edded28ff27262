"""How far a job is: the share of each stage, overall progress. Values in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Span", "overall", "part", "share", "spans"]


class Weighted(Protocol):
    """What `spans` needs to know of a stage."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of overall progress that a stage fills, both between 0 and 1."""

    start: float
    end: float


def spans(stages: Sequence[Weighted]) -> dict[str, Span]:
    """Lays the stages' weights end to end and scales their sum to 1; equal shares if all weights are 0."""
    total = sum(stage.weight for stage in stages)
    found: dict[str, Span] = {}
    reached = 0.0
    for stage in stages:
        start, reached = reached, reached + (stage.weight / total if total else 1 / len(stages))
        found[stage.name] = Span(start=round(start, 6), end=round(reached, 6))
    return found


def part(span: Span, start: float, end: float) -> Span:
    """From `start` to `end` of a span, both shares of it between 0 and 1."""
    length = span.end - span.start
    first, last = (span.start + length * min(max(share, 0.0), 1.0) for share in (start, end))
    return Span(start=first, end=max(first, last))


def overall(span: Span, done: int, total: int) -> float:
    """Progress of the whole job when its stage has done `done` of `total` units; a stage of unknown size is at 0."""
    return span.start + (span.end - span.start) * share(done, total)


def share(done: int, total: int) -> float:
    """0 … 1; 0 while the total is unknown."""
    return min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
