"""Measures Arqueduct beside what a user would take instead, in one run.

The last line of standard output is `{"ratios": {figure: median}, "targets": {figure: value}}`; more is better in all.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from arqueduct.errors import SetupError
from benchmarks.chart import chart
from benchmarks.comparison import BESIDE, OTHERS, Found, Plan, compare, say
from benchmarks.corpus import Scale
from benchmarks.figures import last_line
from benchmarks.peers import PEERS
from benchmarks.report import report, stage_table

__all__ = ["FULL", "QUICK", "main"]

FULL = Plan(scale=Scale(pdfs=300, least_pdfs=60, texts=3000))
QUICK = Plan(
    scale=Scale(pdfs=24, least_pdfs=24, texts=300),
    peers=("bare_loop", "naive_arq"),
    local_documents=10,
    api_texts=300,
    library=(100, 1_000),
    library_texts=100,
    sockets=200,
    messages=200,
    crowd=1_000,
    crowd_messages=500,
    crowd_seconds=3,
    limit=120,
    seconds=260,  # under 5 minutes with what comes before and after the rounds
)


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 1 where a run went wrong, whatever its speed."""
    options = _parser().parse_args(arguments)
    plan = _plan(options)
    try:
        found = asyncio.run(compare(options.documents, plan))
    except (SetupError, ValueError) as error:
        say(str(error))
        return 2
    _print(found, options)
    return 1 if found.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", type=Path, default=Path("examples/documents"), help="folder to choose from")
    parser.add_argument("--quick", action="store_true", help="small samples, cheap peers, under five minutes")
    parser.add_argument("--workloads", type=_names((*OTHERS, *BESIDE)), help="comma-separated; default: all")
    parser.add_argument("--peers", type=_names(PEERS), help="comma-separated; default: all, quick: those at hand")
    parser.add_argument("--rounds", type=int, help="in which each side runs once; default: 3")
    parser.add_argument("--json", type=Path, help="file for every single run")
    parser.add_argument("--chart", type=Path, help="file for a picture (SVG)")
    return parser


def _names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """A parser of comma-separated names, of which each must be known."""
    choices = tuple(known)

    def parse(value: str) -> tuple[str, ...]:
        chosen = tuple(value.split(","))
        if unknown := [name for name in chosen if name not in choices]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(choices)}")
        return chosen

    return parse


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    chosen = {name: getattr(options, name) for name in ("workloads", "peers", "rounds")}
    return replace(plan, **{name: value for name, value in chosen.items() if value is not None})


def _print(found: Found, options: argparse.Namespace) -> None:
    figures = found.figures()
    command = f"make bench{'-quick' if options.quick else ''}"
    text = report(figures, found.rows, found.missing, found.corpus, command)
    text += f"\n\n{stage_table(found.rows)}\n"
    print(text, file=sys.stderr if options.quick else sys.stdout)
    for failure in found.failures:
        say(f"Failed: {failure}")
    if options.json:
        found.save(options.json)
    if options.chart:
        options.chart.write_text(chart(figures, f"Ratios by their targets, {time.strftime('%Y-%m-%d')}"))
    print(json.dumps(last_line(figures)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
