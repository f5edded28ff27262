"""`arqueduct bench`: the pipeline over a folder, measured. `bench queue`, `projects` and `search` have own modules."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from arqueduct import settings
from arqueduct.cli.bench_report import Report, Round, table_of
from arqueduct.cli.client import Client, connect
from arqueduct.cli.commands.bench_projects import projects
from arqueduct.cli.commands.bench_queue import queue
from arqueduct.cli.commands.bench_search import search
from arqueduct.cli.default_command import DEFAULT, DefaultGroup
from arqueduct.cli.eta_errors import EtaWatch
from arqueduct.cli.found_files import find_files, noting
from arqueduct.cli.measuring import Latency, Samples, latency_of, read_metrics, sampling
from arqueduct.cli.options import DataDir, Json, Quiet, examples
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.pick_up import measure_pick_up
from arqueduct.cli.server import find
from arqueduct.cli.temporary_up import temporary_up
from arqueduct.cli.uploads import carry
from arqueduct.cli.views import Lines, choose
from arqueduct.errors import SetupError
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.records import Runtime

__all__ = ["bench"]

bench = typer.Typer(
    name="bench",
    cls=DefaultGroup,
    help="Measure the pipeline over a folder, or `queue`, `projects`, or (`search`) how good the answers are.",
)
bench.command(epilog=examples("bench queue"))(queue)
bench.command(epilog=examples("bench projects", "bench projects --files 1000 --rounds 3"))(projects)
bench.command(epilog=examples("bench search scifact", "bench search scifact --json"))(search)


@bench.command(
    name=DEFAULT,
    hidden=True,
    epilog=examples("bench FOLDER --rounds 3", "bench queue --help"),
)
def documents(
    path: Annotated[Path, typer.Argument(help="Folder of documents, or one.", exists=True)],
    rounds: Annotated[int, typer.Option(min=1, help="Passes; each begins without the documents of the last.")] = 1,
    pick_ups: Annotated[int, typer.Option(min=0, help="Single uploads while idle, to measure the pick-up.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, where bench starts its own.")] = 1,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure documents, pages and passages a second, the time by stage, memory, how long the API takes, and how wrong
    the estimates of the time left were.

    Uses the `arqueduct up` that runs in the data folder; else starts its own in a temporary one. Documents that it
    uploads are removed again. What a running one knows already (texts, vectors) is not computed again.
    """
    with reporting(json=json):
        files = find_files([path], noting(json=json))
        if not files:
            raise SetupError(f"There are no files in {path}.", advice="Name a folder that has some.")
        folder = DataFolder.at(settings.load(data_dir=data_dir).data_dir)
        report = asyncio.run(_bench(files, folder, rounds, pick_ups, workers, is_silent=json or quiet))
        if json:
            print_json(report)
        else:
            out.print()
            out.print(table_of(report))


async def _bench(
    files: Sequence[Path], folder: DataFolder, rounds: int, pick_ups: int, workers: int, *, is_silent: bool
) -> Report:
    async with _installation(folder, workers) as used, connect(find(None, None, used.path)) as client:
        runtime = used.running()
        if runtime is None:
            raise SetupError(f"`arqueduct up` in {used.path} has just ended.", advice=f"Its logs are in {used.logs}.")
        with err.status("Measuring the pick-up of single documents …", spinner="dots"):
            waited = await measure_pick_up(client, pick_ups) if pick_ups else None
        async with sampling(client, runtime.pids) as samples:
            done = [await _round(client, files, runtime, is_silent=is_silent) for _ in range(rounds)]
        return _report(done, samples, waited)


@asynccontextmanager
async def _installation(folder: DataFolder, workers: int) -> AsyncIterator[DataFolder]:
    """The running one, or one for the moment."""
    if folder.running() is not None:
        yield folder
        return
    async with temporary_up(workers) as own:
        yield own


async def _round(client: Client, files: Sequence[Path], runtime: Runtime, *, is_silent: bool) -> Round:
    workers = [url for url in runtime.metrics_urls if not url.startswith(runtime.url)]
    before = await read_metrics(workers)
    began = asyncio.get_running_loop().time()
    watch = EtaWatch(Lines(quiet=True) if is_silent else choose(json=False, quiet=False), client)
    asking = asyncio.create_task(watch.ask())
    try:
        items = await carry(client, files, watch)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    seconds = asyncio.get_running_loop().time() - began
    reading = (await read_metrics(workers)).since(before)
    for item in items:
        if item.document is not None:
            await client.delete(f"/documents/{item.document['id']}")
    return Round(
        documents=len(items),
        failed=sum(not item.is_good for item in items),
        pages=int(reading.counters["pages"]),
        chunks=int(reading.counters["chunks"]),
        seconds=round(seconds, 3),
        stage_seconds={stage: round(spent, 3) for stage, spent in reading.stages.items()},
        eta=watch.errors(),
    )


def _report(rounds: list[Round], samples: Samples, waited: Latency | None) -> Report:
    spent: dict[str, float] = {}
    for done in rounds:
        for stage, seconds in done.stage_seconds.items():
            spent[stage] = spent.get(stage, 0.0) + seconds
    total = sum(spent.values()) or 1.0
    return Report(
        rounds=rounds,
        documents_per_second=statistics.median(done.rate(done.documents) for done in rounds),
        pages_per_second=statistics.median(done.rate(done.pages) for done in rounds),
        chunks_per_second=statistics.median(done.rate(done.chunks) for done in rounds),
        stage_shares={stage: round(seconds / total, 4) for stage, seconds in spent.items()},
        peak_memory=dict(sorted(samples.memory.peaks.items())),
        pick_up=waited,
        api={name: found for name, seconds in samples.seconds.items() if (found := latency_of(seconds))},
    )
