"""`python -m benchmarks` measures what it is asked for; how fast it was is not a test's business."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import Plan, compare
from benchmarks.corpus import Scale
from benchmarks.figures import TARGETS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "documents"
TINY = Plan(
    scale=Scale(pdfs=3, least_pdfs=3, texts=3),
    workloads=("pdfs",),
    peers=("bare_loop", "naive_arq"),
    rounds=1,
    limit=120,
)


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    """What a round over three PDFs found, by side. Has servers of its own."""
    found = asyncio.run(compare(EXAMPLES, TINY))
    assert found.failures == []
    return {row["side"]: row for row in found.rows}


def test_every_side_stores_what_it_was_given(rows: dict[str, dict[str, Any]]) -> None:
    assert set(rows) == {"bare_loop", "naive_arq", "ours"}
    assert {row["outcome"] for row in rows.values()} == {"ok"}
    assert rows["ours"]["pages"] == rows["bare_loop"]["pages"]
    assert all(row["vectors"] > 0 and row["requests"] > 0 and row["seconds"] > 0 for row in rows.values())


def test_what_our_side_costs_is_counted(rows: dict[str, dict[str, Any]]) -> None:
    ours = rows["ours"]
    assert ours["states"] == {"completed": 3}
    assert ours["postgres_round_trips"] > 0
    assert ours["redis_commands"] >= ours["redis_round_trips"] > 0
    assert 0 < ours["carriers_peak_mb"] < ours["peak_mb"]
    assert ours["upload_seconds"] > 0
    assert {"download", "extract", "chunk", "embed", "store"} <= set(ours["stage_seconds"])


async def test_quick_ends_with_one_line_for_machines(tmp_path: Path) -> None:
    options = ["--quick", "--workloads", "texts", "--rounds", "1", "--chart", str(tmp_path / "chart.svg")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", *options, "--json", str(tmp_path / "runs.json")),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, said.decode()
    (line,) = told.decode().splitlines()
    result = json.loads(line)
    assert list(result) == ["ratios", "targets"]
    assert list(result["ratios"]) == list(result["targets"]) == [name for name in TARGETS if _is_of_texts(name)]
    assert all(ratio > 0 for ratio in result["ratios"].values())
    assert "sockets was not asked for." in said.decode()
    assert len(json.loads((tmp_path / "runs.json").read_text())["rows"]) == 2
    assert (tmp_path / "chart.svg").read_text().startswith("<svg")


def test_every_message_to_a_crowd_arrives() -> None:
    plan = Plan(scale=TINY.scale, workloads=("crowd",), crowd=30, crowd_messages=100, crowd_seconds=0.5)
    found = asyncio.run(compare(EXAMPLES, plan))
    assert found.failures == []
    (ratio,) = found.extra["crowd_p95"]
    assert ratio > 0


def test_a_library_grows_and_is_asked_while_texts_come() -> None:
    plan = Plan(scale=Scale(pdfs=3, least_pdfs=3, texts=160), workloads=("library",), library=(5, 20), library_texts=30)
    found = asyncio.run(compare(EXAMPLES, plan))
    assert found.failures == []
    assert set(found.extra) == {"growth", "search_growth", "hybrid_search_while_busy"}
    assert all(ratio > 0 for (ratio,) in found.extra.values())


async def test_an_unknown_peer_is_named() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--peers", "haystack"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert "'haystack' is none of bare_loop, naive_arq, llamaindex, langchain, celery" in said.decode()


def _is_of_texts(name: str) -> bool:
    return name.startswith("texts")
