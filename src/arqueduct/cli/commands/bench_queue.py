"""`arqueduct bench queue`: what the queue can do, beside others, all in one run."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from arqueduct.cli.options import Json, Quiet
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.queue_bench.contest import Contest, Plan
from arqueduct.cli.queue_bench.results import ContestReport, Measure, QueueReport, report_of, table_of

__all__ = ["queue"]

Opener = Callable[[Plan], AbstractAsyncContextManager[Contest]]


def queue(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everything is measured once in each.")] = 3,
    jobs: Annotated[int, typer.Option(min=100, help="Jobs of one measurement.")] = 10_000,
    pick_ups: Annotated[int, typer.Option(min=1, help="Single jobs sent to an idle worker, of one measurement.")] = 100,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where servers keep their data meanwhile.  [default: temporary]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the queue with jobs that do nothing, beside stock arq with its best settings.

    Starts servers of its own in a temporary folder. Takes about half a minute a round. Leave the machine alone
    meanwhile: speed drifts, and only the ratios within a round mean something.
    """
    with reporting(json=json):
        report = asyncio.run(_run(rounds, jobs, pick_ups, data_dir, is_silent=json or quiet))
        if json:
            print_json(report)
        else:
            out.print(table_of(report))


async def _run(rounds: int, jobs: int, pick_ups: int, data_dir: Path | None, *, is_silent: bool) -> QueueReport:
    folder = Path(await asyncio.to_thread(_make_folder, data_dir))
    try:
        async with AsyncExitStack() as stack:
            plan = Plan(folder=folder, jobs=jobs, pick_ups=pick_ups)
            contests = [await stack.enter_async_context(open_contest(plan)) for open_contest in _openers()]
            found: list[list[dict[Measure, tuple[float, float]]]] = [[] for _ in contests]
            for number in range(1, rounds + 1):
                for contest, results in zip(contests, found, strict=True):
                    if not is_silent:
                        err.print(f"Round {number} of {rounds}: {contest.name} …")
                    results.append(await contest.round())
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    reports = [_report(contest, results) for contest, results in zip(contests, found, strict=True)]
    return QueueReport(rounds=rounds, jobs=jobs, cpus=os.cpu_count() or 1, contests=reports)


def _openers() -> Sequence[Opener]:
    """The contests, in the order of the report. Imported here: they bring the servers along."""
    from arqueduct.cli.queue_bench.wake_ups import open_wake_ups

    return [open_wake_ups]


def _report(contest: Contest, results: Sequence[dict[Measure, tuple[float, float]]]) -> ContestReport:
    return ContestReport(
        name=contest.name,
        ours=contest.ours,
        rival=contest.rival,
        figures=[report_of(measure, [result[measure] for result in results]) for measure in contest.measures],
    )


def _make_folder(data_dir: Path | None) -> str:
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix="arqueduct-bench-", dir=data_dir)
