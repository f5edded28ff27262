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
import uvloop

from arqueduct.cli.options import Json, Quiet
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.queue_bench.contest import Contest, Plan
from arqueduct.cli.queue_bench.results import ContestReport, Measure, Pair, QueueReport, report_of, table_of

__all__ = ["PEERS", "installed_peers", "queue"]

PEERS = Path(".venv-peers/bin/python")
"""Where `make .venv-peers/.installed` puts what we measure ourselves against."""

Opener = Callable[[Plan], AbstractAsyncContextManager[Contest]]


def queue(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everything is measured once in each.")] = 3,
    jobs: Annotated[int, typer.Option(min=100, help="Wake-ups of one measurement.")] = 10_000,
    pick_ups: Annotated[int, typer.Option(min=1, help="Single jobs sent to an idle worker, of one measurement.")] = 100,
    whole_jobs: Annotated[
        int, typer.Option("--whole-jobs", min=100, help="Jobs of one measurement with their truth in Postgres.")
    ] = 3_000,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Of these jobs a worker process runs so many at a time.")
    ] = 100,
    peers: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help=f"A Python that has procrastinate.  [default: {PEERS}]"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where servers keep their data meanwhile.  [default: temporary]")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the queue with jobs that do nothing: wake-ups beside stock arq, whole jobs beside procrastinate.

    Both have their best settings. Starts servers of its own in a temporary folder. Takes about a minute a round.
    Leave the machine alone meanwhile: speed drifts, and only the ratios within a round mean something.
    """
    with reporting(json=json):
        plan = Plan(
            folder=data_dir or Path(tempfile.gettempdir()),
            jobs=jobs,
            pick_ups=pick_ups,
            whole_jobs=whole_jobs,
            concurrency=concurrency,
            peers=peers or installed_peers(),
        )
        report = uvloop.run(_run(rounds, plan, is_silent=json or quiet))
        if json:
            print_json(report)
        else:
            out.print(table_of(report))


async def _run(rounds: int, plan: Plan, *, is_silent: bool) -> QueueReport:
    folder = Path(await asyncio.to_thread(_make_folder, plan.folder))
    try:
        async with AsyncExitStack() as stack:
            plan = plan._replace(folder=folder)
            contests = [await stack.enter_async_context(open_contest(plan)) for open_contest in _openers()]
            found: list[list[dict[Measure, Pair]]] = [[] for _ in contests]
            for number in range(1, rounds + 1):
                for contest, results in zip(contests, found, strict=True):
                    if not is_silent:
                        err.print(f"Round {number} of {rounds}: {contest.name} …")
                    results.append(await contest.round())
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    reports = [_report(contest, results) for contest, results in zip(contests, found, strict=True)]
    return QueueReport(rounds=rounds, cpus=os.cpu_count() or 1, contests=reports)


def _openers() -> Sequence[Opener]:
    """The contests, in the order of the report. Imported here: they bring the servers along."""
    from arqueduct.cli.queue_bench.wake_ups import open_wake_ups
    from arqueduct.cli.queue_bench.whole_jobs import open_whole_jobs

    return [open_wake_ups, open_whole_jobs]


def _report(contest: Contest, results: Sequence[dict[Measure, Pair]]) -> ContestReport:
    return ContestReport(
        name=contest.name,
        ours=contest.ours,
        rival=contest.rival,
        left_out=contest.left_out,
        settings=dict(contest.settings),
        figures=[report_of(measure, [result[measure] for result in results]) for measure in contest.measures],
    )


def installed_peers() -> Path | None:
    """Made absolute, but not resolved: behind the link its packages would not be found."""
    return PEERS.absolute() if PEERS.exists() else None


def _make_folder(parent: Path) -> str:
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix="arqueduct-bench-", dir=parent)
