"""What the benchmark of projects found, as values and as a table."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arqueduct.cli.eta_errors import EtaErrors
from arqueduct.cli.measuring import Latency
from arqueduct.cli.words import counted

__all__ = ["BatchRound", "Heard", "ProjectRound", "ProjectsReport", "Ratio", "Snapshot", "table_of"]

STATUS_MS = 50.0
CREATION_SECONDS = 5.0


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    median: float
    least: float
    most: float


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """On one socket, of everything and of one parent with its children."""

    messages: int
    about_children: int
    about_parent: int
    parent_per_second: float | None
    least_gap: float | None
    """Seconds between two messages about the parent, by their own timestamps."""
    interval: float
    """Seconds that there have to be at least."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the opening of a socket to its first message, the jobs in it and its bytes."""

    ms: float
    jobs: int
    size: int


class ProjectRound(msgspec.Struct, frozen=True, kw_only=True):
    """One project, from its creation to its end."""

    creation_seconds: float
    status_before: Latency
    """While nothing runs yet."""
    status_during: Latency
    status_after: Latency
    children_per_second: float
    heard: Heard
    eta: EtaErrors
    counting: Ratio
    """How many times as long the transitions of a child take as those of a job without a parent."""


class BatchRound(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of a filter, cancelled while all of it waits."""

    creation_seconds: float
    status: Latency
    snapshot: Snapshot
    lists: dict[str, Latency]
    cancel_seconds: float


class ProjectsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in milliseconds."""

    files: int
    workers: int
    cpus: int
    upload_seconds: float
    projects: list[ProjectRound]
    batches: list[BatchRound]


def table_of(report: ProjectsReport) -> RenderableType:
    said = f"{counted(len(report.projects), 'round')}, {counted(report.workers, 'worker')}, "
    said += f"{counted(report.cpus, 'CPU')}; the files were taken in in {report.upload_seconds:.1f} s. "
    said += "Medians (least–most)."
    return Group(
        Text(f"A project of {report.files:,} files", "bold"),
        _of_projects(report.projects),
        Text(f"\nA batch of {report.files:,} documents", "bold"),
        _of_batches(report.batches),
        Text(f"\n{said}", "dim"),
    )


def _of_projects(rounds: Sequence[ProjectRound]) -> Table:
    grid = _grid()
    grid.add_row("creation", _spread([r.creation_seconds for r in rounds], "s"), _limit(CREATION_SECONDS, "s"))
    for name in ("before", "during", "after"):
        latencies: list[Latency] = [getattr(r, f"status_{name}") for r in rounds]
        grid.add_row(f"status, 95 %, {name}", _spread([of.p95 for of in latencies], "ms"), _limit(STATUS_MS, "ms"))
    grid.add_row("children", _spread([r.children_per_second for r in rounds], "/s"))
    grid.add_row("parent's messages", _spread([r.heard.parent_per_second for r in rounds], "/s"))
    least = f"≥ {rounds[0].heard.interval:g} s"
    grid.add_row("between two of them", _spread([r.heard.least_gap for r in rounds], "s"), least)
    grid.add_row("messages in all", _spread([r.heard.messages for r in rounds], ""))
    grid.add_row("counting, beside none", _spread([r.counting.median for r in rounds], "×"))
    grid.add_row("time left, median error", _spread(_percents(r.eta.median_relative_error for r in rounds), "%"))
    grid.add_row("… end within its range", _spread(_percents(r.eta.within_range for r in rounds), "%"))
    grid.add_row("… unknown", _spread(_percents(r.eta.unknown for r in rounds), "%"))
    return grid


def _of_batches(rounds: Sequence[BatchRound]) -> Table:
    grid = _grid()
    grid.add_row("creation", _spread([r.creation_seconds for r in rounds], "s"), _limit(CREATION_SECONDS, "s"))
    grid.add_row("status, 95 %", _spread([r.status.p95 for r in rounds], "ms"), _limit(STATUS_MS, "ms"))
    grid.add_row("first message of a socket", _spread([r.snapshot.ms for r in rounds], "ms"))
    for path in rounds[0].lists:
        grid.add_row(f"GET {path}, 95 %", _spread([r.lists[path].p95 for r in rounds], "ms"))
    grid.add_row("cancel", _spread([r.cancel_seconds for r in rounds], "s"))
    return grid


def _spread(found: Sequence[float | None], unit: str) -> str:
    values = [value for value in found if value is not None]
    if not values:
        return "–"
    digits = 0 if statistics.median(values) >= 100 else 2
    least, most = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} {unit} ({least:,.{digits}f}–{most:,.{digits}f})"


def _percents(shares: Iterable[float | None]) -> list[float | None]:
    return [None if share is None else share * 100 for share in shares]


def _limit(value: float, unit: str) -> str:
    return f"< {value:g} {unit}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=26, style="dim")
    grid.add_column(justify="right", min_width=10)
    grid.add_column(justify="right")
    return grid
