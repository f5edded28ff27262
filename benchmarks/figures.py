"""Ratios, medians and spreads over interleaved rounds, and what we mean to reach. No I/O.

Every figure is a ratio of which more is better: it is met where it is at least its target.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "FRAMEWORKS",
    "TARGETS",
    "Figure",
    "Spread",
    "figures_of",
    "last_line",
    "percentile",
    "rate",
    "spread_of",
]

Row: TypeAlias = Mapping[str, Any]

TARGETS: Mapping[str, float] = {
    "pdfs_vs_bare_loop": 0.9,
    "pdfs_vs_naive_arq": 13,
    "pdfs_vs_celery": 3,
    "pdfs_vs_best_framework": 2.1,
    "texts_vs_bare_loop": 0.5,
    "texts_postgres_round_trips": 1,
    "texts_redis_round_trips": 1,
    "texts_embedding_requests": 0.5,
    "big_pdf_vs_bare_loop": 0.9,
    "big_pdf_memory": 1,
    "growth": 0.87,
    "search_growth": 1,
    "hybrid_search_while_busy": 1,
    "local_embedding_vs_model": 0.9,
    "api_reads_while_busy": 1,
    "api_job_creation_while_busy": 1,
    "sockets_vs_raw_fan_out": 0.8,
    "crowd_p95": 1,
}
"""By figure, in the order of the table. `growth`: 15 % dearer is 1 / 1.15. `search_growth`: as the logarithm, which is
1."""

FRAMEWORKS = ("llamaindex", "langchain")
POSTGRES_ROUND_TRIPS, REDIS_ROUND_TRIPS = 6, 4
"""Of one document, at the most."""


class Spread(NamedTuple):
    """Over the rounds."""

    median: float
    least: float
    most: float


class Figure(NamedTuple):
    """One line of the result."""

    name: str
    ratio: Spread
    target: float
    rounds: int

    @property
    def is_met(self) -> bool:
        return self.ratio.median >= self.target


def spread_of(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed; of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def rate(row: Row) -> float:
    """Of PDFs pages a second, of texts documents a second. Where all had the same it compares as time does."""
    counted: float = row["documents"] if row["workload"] == "texts" else row["pages"]
    return counted / float(row["seconds"])


def figures_of(rows: Iterable[Row], extra: Mapping[str, Sequence[float]]) -> list[Figure]:
    """From the runs that went well, paired within their rounds, and from ratios measured in other ways."""
    rounds: dict[tuple[str, int], dict[str, Row]] = {}
    for row in rows:
        if row["outcome"] == "ok":
            rounds.setdefault((row["workload"], row["round"]), {})[row["side"]] = row
    found: dict[str, list[float]] = {}
    for (workload, _), sides in rounds.items():
        for name, ratio in _ratios(workload, sides).items():
            found.setdefault(name, []).append(ratio)
    found |= {name: list(values) for name, values in extra.items() if values}
    return [
        Figure(name, spread_of(found[name]), target, len(found[name]))
        for name, target in TARGETS.items()
        if name in found
    ]


def last_line(figures: Iterable[Figure]) -> dict[str, dict[str, float]]:
    """What was measured, and the targets of just that."""
    listed = list(figures)
    return {
        "ratios": {figure.name: round(figure.ratio.median, 3) for figure in listed},
        "targets": {figure.name: figure.target for figure in listed},
    }


def _ratios(workload: str, sides: Mapping[str, Row]) -> dict[str, float]:
    """Of one round."""
    ours = sides.get("ours")
    if ours is None:
        return {}
    found = {
        f"{workload}_vs_{name}": rate(ours) / rate(other)
        for name, other in sides.items()
        if name in ("bare_loop", "naive_arq", "celery")
    }
    if all(name in sides for name in FRAMEWORKS):
        found[f"{workload}_vs_best_framework"] = rate(ours) / max(rate(sides[name]) for name in FRAMEWORKS)
    bare = sides.get("bare_loop")
    if workload == "texts":
        found |= _texts(ours, bare)
    elif workload == "big_pdf" and bare is not None:
        found["big_pdf_memory"] = bare["carriers_peak_mb"] / ours["carriers_peak_mb"]
    return found


def _texts(ours: Row, bare: Row | None) -> dict[str, float]:
    count = ours["documents"]
    found = {
        "texts_postgres_round_trips": POSTGRES_ROUND_TRIPS * count / ours["postgres_round_trips"],
        "texts_redis_round_trips": REDIS_ROUND_TRIPS * count / ours["redis_round_trips"],
    }
    if bare is not None:
        found["texts_embedding_requests"] = bare["requests"] / ours["requests"]
    return found
