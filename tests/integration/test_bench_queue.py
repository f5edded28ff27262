"""`arqueduct bench queue` tells what it is asked for; how fast it was is not a test's business."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from arqueduct.cli.queue_bench.results import ContestReport, Measure, QueueReport, report_of, table_of

PEERS = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"


@pytest.fixture(scope="module")
async def contests() -> dict[str, Any]:
    """What one small run told, by the begin of the contest's name."""
    options = ["--rounds", "1", "--jobs", "300", "--pick-ups", "5", "--whole-jobs", "200", "--concurrency", "10"]
    if PEERS.exists():
        options += ["--peers", str(PEERS)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "arqueduct.cli", "bench", "queue", *options, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, said.decode()
    report = json.loads(told)
    assert report["rounds"] == 1
    return {contest["name"].partition(":")[0]: contest for contest in report["contests"]}


async def test_wake_ups_are_measured_beside_stock_arq(contests: dict[str, Any]) -> None:
    contest = contests["Wake-ups alone"]
    assert contest["rival"].startswith("arq ")
    assert contest["settings"] == {"jobs": 300, "pick-ups": 5, "concurrency": 100}
    figures = {figure["name"]: figure for figure in contest["figures"]}
    assert list(figures) == ["1 worker process", "2 worker processes", "idle pick-up, median", "idle pick-up, 95 %"]
    for figure in figures.values():
        assert min(figure[side]["least"] for side in ("ours", "rival", "ratios")) > 0
    assert [figures[name]["target"] for name in figures] == ["≥ 1.5 ×", "≥ 2.5 ×", "< 10 ms", None]


async def test_whole_jobs_go_through_the_product_s_own_workers(contests: dict[str, Any]) -> None:
    contest = contests["Whole jobs"]
    assert contest["ours"].startswith("arqueduct ")
    assert (contest["settings"]["jobs"], contest["settings"]["concurrency"]) == (200, 10)
    assert contest["settings"]["durability"] == "fsync on, synchronous_commit on"
    figures = {figure["name"]: figure for figure in contest["figures"]}
    assert [figures[name]["target"] for name in figures] == ["≥ 4 ×", "≥ 4 ×", None, None]
    assert all(figure["ours"]["least"] > 0 for figure in figures.values())


async def test_whole_jobs_are_measured_beside_procrastinate(contests: dict[str, Any]) -> None:
    contest = contests["Whole jobs"]
    if not PEERS.exists():
        assert contest["left_out"] is not None
        assert all(figure["rival"] is figure["ratios"] is figure["is_met"] is None for figure in contest["figures"])
        pytest.skip("procrastinate is installed apart, by `make .venv-peers/.installed`")
    assert contest["rival"].startswith("procrastinate 3.")
    for figure in contest["figures"]:
        assert min(figure[side]["least"] for side in ("rival", "ratios")) > 0


def test_a_rival_that_is_not_there_is_said_to_be_left_out() -> None:
    figure = report_of(Measure("speed", "jobs/s", least_ratio=4), [(1000, None), (1200, None), (900, None)])
    assert (figure.ours.median, figure.rival, figure.ratios, figure.is_met) == (1000, None, None, None)
    contest = ContestReport(
        name="Jobs", ours="we", rival="they", left_out="not installed.", settings={"jobs": 5000}, figures=[figure]
    )
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table_of(QueueReport(rounds=3, cpus=2, contests=[contest])))
    shown = captured.get()
    assert "they is left out: not installed." in shown
    assert "jobs 5,000" in shown
    assert "missed" not in shown


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
    assert figure.ratios is not None
    assert (figure.ratios.median, figure.is_met) == (ratio, is_met)
