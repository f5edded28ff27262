"""What was measured, as Markdown."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus
from benchmarks.figures import Figure, Row, rate
from benchmarks.peers import OURS, PEERS

__all__ = ["figures_table", "machine", "report", "runs_table"]

Runs = Sequence[Row]
NOTHING = "–"


def report(figures: Sequence[Figure], rows: Runs, missing: Mapping[str, str], corpus: Corpus, command: str) -> str:
    """A section of a page, from the machine to what is left out."""
    parts = [
        f"`{command}`, {machine()}, load before a run {_loads(rows)}. {_documents(corpus)}",
        figures_table(figures),
        runs_table(rows),
        *(f"- {reason}" for reason in missing.values()),
    ]
    return "\n\n".join(parts)


def machine() -> str:
    """Cores, processor, memory and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def figures_table(figures: Sequence[Figure]) -> str:
    """Each figure beside its target; more is better in all of them."""
    lines = ["| figure | median (least–most) | target | | rounds |", "|---|---|---|---|---|"]
    for figure in figures:
        median, least, most = (_number(value) for value in figure.ratio)
        verdict = "met" if figure.is_met else "missed"
        lines.append(
            f"| `{figure.name}` | {median} ({least}–{most}) | {figure.target:g} | {verdict} | {figure.rounds} |"
        )
    return "\n".join(lines)


def runs_table(rows: Runs) -> str:
    """One line for each side of each workload, medians over its runs."""
    titles = (
        *("workload", "side", "seconds (each run)", "documents/s", "pages/s", "chunks", "CPU s: side / Postgres"),
        *("peak MB: all / carriers", "requests", "Postgres trips a document", "Redis trips (commands) a document"),
        *("uploads/s", "outcome"),
    )
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["workload"], row["side"]), []).append(row)
    lines += [f"| {' | '.join(_cells(workload, side, runs))} |" for (workload, side), runs in cells.items()]
    return "\n".join(lines)


def _cells(workload: str, side: str, runs: Runs) -> list[str]:
    good = [run for run in runs if run["outcome"] == "ok"]
    label = OURS.label if side == OURS.name else PEERS[side].label

    def middle(value: Any) -> str:
        return _number(statistics.median(value(run) for run in good)) if good else NOTHING

    def ours(value: Any) -> str:
        return middle(value) if side == OURS.name else NOTHING

    return [
        *(workload, label, ", ".join(f"{run['seconds']:.1f}" for run in good) or NOTHING),
        *(middle(lambda run: run["documents"] / run["seconds"]), middle(lambda run: run["pages"] / run["seconds"])),
        middle(lambda run: run["chunks"]),
        f"{middle(lambda run: run['cpu'])} / {middle(lambda run: run['postgres_cpu'])}",
        f"{middle(lambda run: run['peak_mb'])} / {middle(lambda run: run['carriers_peak_mb'])}",
        middle(lambda run: run["requests"]),
        ours(lambda run: run["postgres_round_trips"] / run["documents"]),
        f"{ours(lambda run: run['redis_round_trips'] / run['documents'])} "
        f"({ours(lambda run: run['redis_commands'] / run['documents'])})",
        ours(lambda run: run["documents"] / run["upload_seconds"]),
        ", ".join(sorted({run["outcome"] for run in runs})),
    ]


def stage_table(rows: Runs) -> str:
    """Where the time of our jobs goes, in seconds a run: stages overlap, so they add up to more than the run took."""
    lines = ["| workload | stage | seconds (median) |", "|---|---|---|"]
    spent: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for stage, seconds in row.get("stage_seconds", {}).items():
            spent.setdefault((row["workload"], stage), []).append(seconds)
    lines += [
        f"| {workload} | {stage} | {_number(statistics.median(seconds))} |"
        for (workload, stage), seconds in spent.items()
        if not stage.startswith("*")
    ]
    return "\n".join(lines)


def speeds(rows: Runs) -> dict[tuple[str, str], float]:
    """Median of `rate` by workload and side."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["outcome"] == "ok":
            found.setdefault((row["workload"], row["side"]), []).append(rate(row))
    return {key: statistics.median(values) for key, values in found.items()}


def _documents(corpus: Corpus) -> str:
    made = f", {corpus.made_pdfs} of them made up" if corpus.made_pdfs else ""
    big = ", made up" if corpus.is_big_made else ""
    pdfs, texts = len(corpus.lists["pdfs"]), len(corpus.lists["texts"])
    return f"{pdfs} PDFs{made}; {texts} texts; one PDF of 1,000 pages or more{big}."


def _loads(rows: Runs) -> str:
    loads = [row["load"] for row in rows]
    return f"{min(loads):.1f}–{max(loads):.1f}" if loads else "unknown"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
