"""`arqueduct bench queue` tells what it is asked for; how fast it was is not a test's business."""

import asyncio
import json
import sys

import pytest

from arqueduct.cli.queue_bench.results import Measure, report_of


async def test_the_queue_is_measured_beside_stock_arq() -> None:
    options = ("--rounds", "1", "--jobs", "300", "--pick-ups", "5", "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "arqueduct.cli", "bench", "queue", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    report = json.loads(told)
    assert (report["rounds"], report["jobs"]) == (1, 300)
    contest = report["contests"][0]
    assert contest["rival"].startswith("arq ")
    figures = {figure["name"]: figure for figure in contest["figures"]}
    assert list(figures) == ["1 worker process", "2 worker processes", "idle pick-up, median", "idle pick-up, 95 %"]
    for figure in figures.values():
        assert min(figure[side]["least"] for side in ("ours", "rival", "ratios")) > 0
    assert [figures[name]["target"] for name in figures] == ["≥ 1.5 ×", "≥ 2.5 ×", "< 10 ms", None]


@pytest.mark.parametrize(
    ("measure", "pairs", "ratio", "is_met"),
    [
        (Measure("speed", "jobs/s", least_ratio=2), [(100, 10), (30, 10), (10, 10)], 3, True),
        (Measure("speed", "jobs/s", least_ratio=2), [(10, 10)], 1, False),
        (Measure("wait", "ms", limit=10), [(2, 8)], 4, True),
        (Measure("wait", "ms", limit=10), [(20, 8)], 0.4, False),
        (Measure("wait", "ms"), [(2, 8)], 4, None),
    ],
    ids=["faster", "not faster", "quick", "not quick", "no target"],
)
def test_ratios_are_paired_within_a_round_and_say_how_much_better(
    measure: Measure, pairs: list[tuple[float, float]], ratio: float, is_met: bool | None
) -> None:
    figure = report_of(measure, pairs)
    assert (figure.ratios.median, figure.is_met) == (ratio, is_met)
