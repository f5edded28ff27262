"""The arithmetic of the benchmarks: pairs within rounds, medians, spreads, and the line that others read."""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.chart import chart
from benchmarks.figures import TARGETS, Figure, Spread, figures_of, last_line, percentile, spread_of
from benchmarks.report import figures_table, runs_table

GOOD = {
    "outcome": "ok",
    "documents": 10,
    "pages": 100,
    "chunks": 300,
    "load": 1.0,
    "cpu": 1.0,
    "postgres_cpu": 1.0,
    "peak_mb": 400,
    "carriers_peak_mb": 200,
    "requests": 2,
}
OURS = GOOD | {
    "postgres_round_trips": 120,
    "redis_commands": 90,
    "redis_round_trips": 20,
    "upload_seconds": 1.0,
    "carriers_peak_mb": 250,
}


def row(workload: str, number: int, side: str, seconds: float, **changes: Any) -> Mapping[str, Any]:
    facts = OURS if side == "ours" else GOOD
    return {**facts, "workload": workload, "round": number, "side": side, "seconds": seconds, **changes}


def named(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_ratios_are_paired_within_their_round() -> None:
    seconds = [(1.0, 2.0), (4.0, 4.0), (3.0, 30.0)]  # the machine slows down; ours is 0.5, 1 and 0.1 times as fast
    rows = [
        row("pdfs", number, side, spent)
        for number, pair in enumerate(seconds, 1)
        for side, spent in zip(("bare_loop", "ours"), pair, strict=True)
    ]
    (figure,) = figures_of(rows, {})
    assert (figure.name, figure.target, figure.rounds) == ("pdfs_vs_bare_loop", 0.9, 3)
    assert figure.ratio == pytest.approx((0.5, 0.1, 1.0))
    assert not figure.is_met


def test_a_peer_with_a_part_of_the_documents_is_compared_by_its_speed() -> None:
    rows = [row("pdfs", 1, "ours", 2.0), row("pdfs", 1, "naive_arq", 4.0, documents=2, pages=10)]
    assert named(figures_of(rows, {}))["pdfs_vs_naive_arq"].ratio.median == pytest.approx((100 / 2) / (10 / 4))


def test_the_better_framework_counts_and_only_where_both_ran() -> None:
    both = [row("pdfs", 1, "ours", 1.0), row("pdfs", 1, "llamaindex", 2.0), row("pdfs", 1, "langchain", 3.0)]
    assert named(figures_of(both, {}))["pdfs_vs_best_framework"].ratio.median == pytest.approx(2)
    assert figures_of(both[:2], {}) == []


def test_a_run_that_went_wrong_is_no_part_of_a_ratio() -> None:
    rows = [row("pdfs", 1, "bare_loop", 1.0), row("pdfs", 1, "ours", 0.1, outcome="9 of 10 documents")]
    assert figures_of(rows, {}) == []


def test_counts_come_from_the_small_texts() -> None:
    figures = named(figures_of([row("texts", 1, "bare_loop", 1.0), row("texts", 1, "ours", 2.0, requests=4)], {}))
    found = {name: figure.ratio.median for name, figure in figures.items()}
    assert found == {
        "texts_vs_bare_loop": pytest.approx(0.5),
        "texts_postgres_round_trips": pytest.approx(6 / 12),
        "texts_redis_round_trips": pytest.approx(4 / 2),
        "texts_embedding_requests": pytest.approx(0.5),
    }


def test_memory_is_that_of_the_processes_that_carry_documents() -> None:
    rows = [row("big_pdf", 1, "bare_loop", 1.0), row("big_pdf", 1, "ours", 1.0)]
    assert named(figures_of(rows, {}))["big_pdf_memory"].ratio.median == pytest.approx(200 / 250)


def test_the_last_line_has_the_targets_of_what_was_measured() -> None:
    figures = figures_of([row("pdfs", 1, "bare_loop", 1.0), row("pdfs", 1, "ours", 3.0)], {"growth": []})
    assert json.loads(json.dumps(last_line(figures))) == {
        "ratios": {"pdfs_vs_bare_loop": 0.333},
        "targets": {"pdfs_vs_bare_loop": 0.9},
    }


def test_what_is_measured_otherwise_stands_beside_it() -> None:
    (figure,) = figures_of([], {"local_embedding_vs_model": [0.8, 0.95, 0.9]})
    assert figure.ratio == Spread(0.9, 0.8, 0.95)
    assert figure.is_met


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)], ids=["half", "95", "99", "all"]
)
def test_percentiles_are_values_that_were_seen(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_one_value_is_its_own_spread() -> None:
    assert spread_of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert percentile([3.0], 0.95) == 3.0


def test_tables_and_chart_name_every_figure() -> None:
    figures = [Figure(name, Spread(target * 3, target / 2, target * 4), target, 3) for name, target in TARGETS.items()]
    table = figures_table(figures)
    picture = ElementTree.fromstring(chart(figures, "Ratios & targets"))
    words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert all(f"`{name}`" in table and name in words for name in TARGETS)
    assert len(table.splitlines()) == len(TARGETS) + 2


def test_a_run_that_went_wrong_shows_in_the_table() -> None:
    table = runs_table([row("pdfs", 1, "bare_loop", 1.0, outcome="exit code 1")])
    assert "exit code 1" in table.splitlines()[-1]
