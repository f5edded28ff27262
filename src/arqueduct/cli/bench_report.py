"""What a benchmark found, as values and as a table."""

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arqueduct.cli.eta_errors import EtaErrors, Phase
from arqueduct.cli.measuring import Latency
from arqueduct.cli.words import counted, duration

__all__ = ["Report", "Round", "table_of"]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the folder."""

    documents: int
    failed: int
    pages: int
    chunks: int
    seconds: float
    stage_seconds: dict[str, float]
    """Summed over jobs that run side by side, so more than `seconds`."""
    eta: dict[Phase, EtaErrors] = {}

    def rate(self, number: int) -> float:
        return round(number / self.seconds, 2)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Memory in bytes, latencies in milliseconds."""

    rounds: list[Round]
    documents_per_second: float
    pages_per_second: float
    chunks_per_second: float
    stage_shares: dict[str, float]
    peak_memory: dict[str, int]
    pick_up: Latency | None
    api: dict[str, Latency]


def table_of(report: Report) -> RenderableType:
    last = report.rounds[-1]
    rates = _grid()
    rates.add_row("Documents", f"{last.documents:,}", f"{report.documents_per_second:,.2f} /s")
    rates.add_row("Pages", f"{last.pages:,}", f"{report.pages_per_second:,.1f} /s")
    rates.add_row("Passages", f"{last.chunks:,}", f"{report.chunks_per_second:,.1f} /s")
    stages = _grid()
    for stage, share in report.stage_shares.items():
        stages.add_row(stage, f"{share:.1%}", Text("━" * round(share * 30), "cyan"))
    memory = _grid()
    for name, peak in report.peak_memory.items():
        memory.add_row(name, f"{peak / 2**20:,.0f} MB", "")
    waits = _grid()
    waits.add_row("", "median", "95 %")
    for name, latency in {"pick-up when idle": report.pick_up, **report.api}.items():
        if latency is not None:
            waits.add_row(name, f"{latency.p50:,.1f} ms", f"{latency.p95:,.1f} ms")
    rounds = f"{counted(len(report.rounds), 'round')}, the last in {duration(last.seconds)}"
    if last.failed:
        rounds += f", {last.failed} failed"
    titled = {f"Throughput ({rounds})": rates, "Time by stage": stages, "Peak memory, the largest process": memory}
    parts: list[RenderableType] = []
    for title, grid in {**titled, "Waiting": waits, "Estimates of the time left": _etas(report)}.items():
        parts += [Text(title, "bold"), grid, ""]
    return Group(*parts)


def _etas(report: Report) -> Table:
    grid = _grid()
    grid.add_row("", "median error", "in range · unknown")
    for number, done in enumerate(report.rounds, 1):
        for phase, found in done.eta.items():
            shares = f"{_percent(found.within_range)} · {_percent(found.unknown)} of {found.samples:,}"
            grid.add_row(f"round {number}, {phase}", _percent(found.median_relative_error), shares)
    return grid


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=20, style="dim")
    grid.add_column(justify="right", min_width=10)
    grid.add_column(justify="right")
    return grid
