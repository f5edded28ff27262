"""When a worker was there to heal anything: started, not stopped, not dead."""

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from tests.chaos.site import Life, Member

__all__ = ["Span", "spans_of", "unattended"]

Span: TypeAlias = tuple[float, float]
"""From, to."""


def spans_of(workers: Iterable[Member]) -> list[Span]:
    """When any of them was up and awake. Reads their logs."""
    return [span for worker in workers for life in worker.lives for span in _awake(life, _starts(worker))]


def unattended(spans: Iterable[Span], since: float, until: float) -> float:
    """Seconds between the two that no span covers."""
    left, covered_to = 0.0, since
    for begin, end in sorted(spans):
        if begin >= until:
            break
        left += max(begin - covered_to, 0)
        covered_to = max(covered_to, end)
    return left + max(until - covered_to, 0)


def _awake(life: Life, starts: Sequence[float]) -> list[Span]:
    ended = math.inf if life.ended is None else life.ended
    started = next((start for start in starts if life.began <= start <= ended), None)
    if started is None:
        return []
    edges = [started, *(edge for asleep in life.asleep for edge in asleep if edge > started), ended]
    return [(begin, end) for begin, end in list(pairwise(edges))[::2] if begin < end]


def _starts(worker: Member) -> list[float]:
    """A start takes seconds on a busy machine, and only a worker that has started heals."""
    lines = (line for line in worker.log.read_text().splitlines() if '"worker started"' in line)
    return [datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() for line in lines]
