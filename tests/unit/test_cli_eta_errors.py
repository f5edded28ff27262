"""How wrong estimates were is counted from what was told and when the jobs ended."""

import io

from rich.console import Console

from arqueduct.cli.bench_report import Report, Round, table_of
from arqueduct.cli.eta_errors import EtaErrors, Phase, Sample, errors_of


def told(
    seconds: int | None, range_: list[int] | None = None, *, at: float = 0, job: str = "a", phase: Phase = "running"
) -> Sample:
    return Sample(job_id=job, at=at, phase=phase, seconds=seconds, range=range_)


def test_the_error_is_relative_to_what_was_left() -> None:
    samples = [told(15, [5, 12]), told(5, [4, 8], at=4), told(8, [2, 9], at=5), told(None)]
    assert errors_of(samples, {"a": 10.0})["running"] == EtaErrors(
        samples=4, unknown=0.25, median_relative_error=0.5, within_range=1.0
    )


def test_an_end_outside_of_the_range_is_counted() -> None:
    found = errors_of([told(15, [12, 20]), told(9, [8, 11])], {"a": 10.0})["running"]
    assert found.within_range == 0.5


def test_what_is_nearly_done_and_what_never_completed_say_nothing() -> None:
    samples = [told(1, [0, 1], at=9.5), told(3, [1, 5], job="failed")]
    assert errors_of(samples, {"a": 10.0})["running"] == EtaErrors(
        samples=0, unknown=0.0, median_relative_error=None, within_range=None
    )


def test_waiting_and_running_are_counted_apart_and_shown() -> None:
    samples = [told(20, [5, 40], phase="queued"), told(None, phase="queued"), told(9, [8, 12])]
    found = errors_of(samples, {"a": 10.0})
    assert (found["queued"].samples, found["running"].samples) == (2, 1)
    done = Round(documents=1, failed=0, pages=1, chunks=1, seconds=1.0, stage_seconds={}, eta=found)
    report = Report(
        rounds=[done],
        documents_per_second=1,
        pages_per_second=1,
        chunks_per_second=1,
        stage_shares={},
        peak_memory={},
        pick_up=None,
        api={},
    )
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(table_of(report))
    shown = console.export_text()
    assert "round 1, queued" in shown
    assert "100% · 50% of 2" in shown
    assert "10%" in shown
