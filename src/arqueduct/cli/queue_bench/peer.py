"""The rival's side of the contest of whole jobs: procrastinate, run by another Python on the same Postgres."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from arqueduct.cli.queue_bench.crew import employing
from arqueduct.cli.queue_bench.side import AT_ONCE, WARM_UPS, Side, empty_copy, owning, run_seconds
from arqueduct.database import Driver
from arqueduct.embedded import EmbeddedPostgres
from arqueduct.errors import SetupError

__all__ = ["Procrastinate", "open_procrastinate"]

SCRIPT = Path(__file__).with_name("procrastinate_side.py")
URL_VARIABLE = "ARQUEDUCT_BENCH_DATABASE_URL"
TEMPLATE = "procrastinate_template"

LOOK_SECONDS = 0.2
"""Between two counts of what has succeeded, each a look at the whole table; when each did its history tells."""

_ENDS = """
    SELECT extract(epoch FROM at - $1::text::timestamptz)::float8 AS took FROM procrastinate_events
    WHERE type = 'succeeded' AND at >= $1::text::timestamptz ORDER BY at
"""


class Procrastinate(Side):
    """The end of a job is the time that procrastinate itself notes, at the begin of the transaction."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, python: Path, version: str, concurrency: int) -> None:
        self.version = version
        self._concurrency = concurrency
        self._folder = folder
        self._postgres = postgres
        self._python = python

    async def run(self, jobs: int, workers: int) -> list[float]:
        said = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._folder)) / "said"
        commands = [[*_command(self._python), "work", str(self._concurrency)]] * workers
        async with empty_copy(self._postgres, TEMPLATE) as database, owning(self._postgres, database) as owner:
            environment = _environment(self._postgres, database)

            async def are_there() -> bool:
                return bool(await owner.fetchval("SELECT count(*) >= $1 FROM procrastinate_workers", workers))

            async def have_ended() -> bool:
                return await _succeeded(owner) >= WARM_UPS + jobs

            async def are_warm() -> bool:
                return await _succeeded(owner) >= WARM_UPS

            async with employing(said, commands, environment=environment) as staff:
                await staff.until(are_there, look=LOOK_SECONDS)
                await self._create(environment, WARM_UPS)
                await staff.until(are_warm, look=LOOK_SECONDS)
                began = await self._create(environment, jobs)
                await staff.until(have_ended, seconds=run_seconds(jobs), look=LOOK_SECONDS)
            return [row["took"] for row in await owner.fetch(_ENDS, began)]

    async def _create(self, environment: Mapping[str, str], count: int) -> str:
        """When it began, by the clock of the database."""
        return await _say(self._python, environment, "create", str(count), str(AT_ONCE))


@asynccontextmanager
async def open_procrastinate(
    folder: Path, postgres: EmbeddedPostgres, python: Path, concurrency: int
) -> AsyncIterator[Procrastinate]:
    """Makes the schema once; Postgres runs. Raises `SetupError` if that Python does not have procrastinate."""
    version = await _say(python, os.environ, "version")
    async with owning(postgres) as owner:
        await owner.execute(f"CREATE DATABASE {TEMPLATE}")
    await _say(python, _environment(postgres, TEMPLATE), "schema")
    yield Procrastinate(folder, postgres, python, version, concurrency)


def _environment(postgres: EmbeddedPostgres, database: str) -> Mapping[str, str]:
    return {**os.environ, URL_VARIABLE: postgres.url(database=database)}


def _command(python: Path) -> list[str]:
    return [str(python), "-P", str(SCRIPT)]


async def _succeeded(owner: Driver) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"))


async def _say(python: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """What the script prints. Raises `SetupError` with what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *_command(python),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        told, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = complained.decode(errors="replace").strip().splitlines()[-1:]
        raise SetupError(f"{python} cannot run procrastinate: {' '.join(last)}. Run `make .venv-peers/.installed`.")
    return told.decode().strip()
