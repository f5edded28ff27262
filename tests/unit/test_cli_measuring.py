import io
import os

import pytest
from rich.console import Console

from arqueduct.cli.bench_report import Report, Round, table_of
from arqueduct.cli.measuring import Latency, Memory, Reading, latency_of, read_metrics
from arqueduct.errors import SetupError


def test_percentiles_are_values_that_were_measured() -> None:
    assert latency_of([number / 1000 for number in range(100, 0, -1)]) == Latency(p50=50.0, p95=95.0, count=100)
    assert latency_of([0.02]) == Latency(p50=20.0, p95=20.0, count=1)
    assert latency_of([]) is None


def test_a_reading_counts_from_the_one_before() -> None:
    before = Reading(stages={"embed": 2.0}, counters={"pages": 10})
    after = Reading(stages={"embed": 5.0, "store": 1.0}, counters={"pages": 48})
    assert after.since(before) == Reading(stages={"embed": 3.0, "store": 1.0}, counters={"pages": 38})


async def test_a_worker_that_is_gone_is_said() -> None:
    with pytest.raises(SetupError, match="does not answer"):
        await read_metrics(["http://127.0.0.1:1/metrics"])


def test_memory_passes_over_what_has_ended() -> None:
    memory = Memory({"api": [os.getpid()], "worker": [2**22 + 1]})
    memory.look()
    assert memory.peaks["api"] > 2**20
    assert "worker" not in memory.peaks


def test_the_table_has_every_number() -> None:
    done = Round(
        documents=13, failed=1, pages=57, chunks=315, seconds=9.7, stage_seconds={"extract": 1.0, "embed": 9.0}
    )
    report = Report(
        rounds=[done],
        documents_per_second=done.rate(13),
        pages_per_second=done.rate(57),
        chunks_per_second=done.rate(315),
        stage_shares={"extract": 0.1, "embed": 0.9},
        peak_memory={"worker": 232 * 2**20},
        pick_up=Latency(p50=26.9, p95=39.3, count=20),
        api={"GET /jobs": Latency(p50=13.4, p95=35.8, count=99)},
    )
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(table_of(report))
    shown = console.export_text()
    for said in ("1.34 /s", "32.5 /s", "90.0%", "232 MB", "26.9 ms", "35.8 ms", "1 round, the last in 9.7 s, 1 failed"):
        assert said in shown
