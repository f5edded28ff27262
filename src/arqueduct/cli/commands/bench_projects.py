"""`arqueduct bench projects`: a project and a batch of thousands, measured."""

import asyncio
import os
import time
from typing import Annotated

import typer

from arqueduct import settings
from arqueduct.cli.client import connect
from arqueduct.cli.family_bench import material
from arqueduct.cli.family_bench.results import ProjectsReport, table_of
from arqueduct.cli.family_bench.rounds import Bench, batch_round, project_round
from arqueduct.cli.options import Json, Quiet
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.server import find
from arqueduct.cli.temporary_up import temporary_up
from arqueduct.errors import SetupError

__all__ = ["projects"]


def projects(
    files: Annotated[int, typer.Option(min=10, max=20_000, help="Files of the project, and of the batch.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Projects and batches, one after the other.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a project and a batch of many small files that no model reads: how long they take to make, how fast
    their status is told, what the counting of the children costs, and how wrong the time left was.

    Starts servers, API and workers of its own in a temporary folder. Takes some two minutes, and as much again a
    further round. Leave the machine alone meanwhile.
    """
    with reporting(json=json):
        report = asyncio.run(_bench(files, rounds, workers, is_silent=json or quiet))
        if json:
            print_json(report)
        else:
            out.print(table_of(report))


async def _bench(files: int, rounds: int, workers: int, *, is_silent: bool) -> ProjectsReport:
    async with temporary_up(workers) as folder, connect(find(None, None, folder.path)) as client:
        runtime = folder.running()
        if runtime is None:
            raise SetupError(
                f"`arqueduct up` in {folder.path} has just ended.", advice=f"Its logs are in {folder.logs}."
            )
        _say(f"Uploading {files:,} files …", is_silent=is_silent)
        began = time.perf_counter()
        file_set = await material.file_set(client, files)
        uploaded = time.perf_counter() - began
        bench = Bench(
            client=client,
            database_url=runtime.database_url,
            file_set=file_set,
            profile=await material.profile(client),
            files=files,
            interval=settings.load(data_dir=folder.path).parent_interval,
        )
        done, batches = [], []
        for number in range(1, rounds + 1):
            _say(f"Round {number} of {rounds}: a project …", is_silent=is_silent)
            done.append(await project_round(bench))
            _say(f"Round {number} of {rounds}: a batch …", is_silent=is_silent)
            batches.append(await batch_round(bench))
    return ProjectsReport(
        files=files,
        workers=workers,
        cpus=os.cpu_count() or 1,
        upload_seconds=round(uploaded, 2),
        projects=done,
        batches=batches,
    )


def _say(words: str, *, is_silent: bool) -> None:
    if not is_silent:
        err.print(words)
