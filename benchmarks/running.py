"""Runs one side over one list of documents and measures it from outside."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

from benchmarks.backing import ROOT, Backing, environment
from benchmarks.peers import Side
from benchmarks.processes import PeakMemory, cpu_seconds

__all__ = ["LIMIT", "Row", "run"]

Row: TypeAlias = dict[str, Any]
"""What one run was: `outcome` is `ok`, or says what went wrong."""

LIMIT = 600.0
"""Seconds one run may take."""
MEGABYTE = 2**20
LEAST_VECTORS = 0.9
"""Of the chunks: equal texts may share one vector, and a few of a corpus are equal."""
VECTOR_TABLES = """
    SELECT c.table_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND c.udt_name IN ('vector', 'halfvec') AND t.table_type = 'BASE TABLE'
"""


class _Watch:
    """Follows what a side says: the clock's begin and end, with the CPU that was spent between them, and more facts."""

    def __init__(self, pid: int, backing: Backing) -> None:
        self.row: Row = {}
        self._roots = {"cpu": pid, "postgres_cpu": backing.postgres.pid, "provider_cpu": backing.provider_pid}
        self._began: dict[str, float] = {}
        self._memory = PeakMemory(pid)

    def hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            event = said.pop("event")
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a library's own words
        if event == "begun":
            self._began = self._spent()
            self._memory.start(said.get("part", []))
        elif event == "told":
            self.row |= said
        elif event == "done":
            spent = self._spent()
            self.stop()
            self.row |= said | {name: round(spent[name] - self._began[name], 2) for name in spent}
            self.row["peak_mb"] = self._memory.whole // MEGABYTE
            self.row["carriers_peak_mb"] = self._memory.part // MEGABYTE

    def stop(self) -> None:
        self._memory.stop()

    def _spent(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._roots.items()}


async def run(side: Side, documents: Sequence[Path], backing: Backing, log: Path, limit: float = LIMIT) -> Row:
    """In an empty database of its own. What the side writes to its standard error goes to `log`."""
    paths = side.given(documents)
    database = await backing.fresh()
    load = os.getloadavg()[0]
    try:
        code, row = await _run(side, paths, backing, database, log, limit)
        row |= backing.asked() | {"vectors": await _vectors(backing, database)}
    finally:
        await backing.drop(database)
    return {"side": side.name, "load": round(load, 2), "outcome": _outcome(code, row, len(paths)), **row}


async def _run(
    side: Side, paths: Sequence[Path], backing: Backing, database: str, log: Path, limit: float
) -> tuple[int | None, Row]:
    """Its exit code (`None`: it had to be ended) and what it told."""
    listed = log.with_name("input.list")
    listed.write_text("".join(f"{path}\n" for path in paths))
    variables = environment(
        {
            "PEER_INPUT": str(listed),
            "PEER_DATABASE_URL": backing.postgres.url(database=database),
            "PEER_REDIS_URL": backing.redis_url,
            "PEER_EMBED_URL": backing.embed_url,
            "PEER_WORKERS": os.environ.get("PEER_WORKERS", "1"),
            "PYTHONWARNINGS": "ignore",
        }
    )
    with log.open("ab") as complaints:
        process = await asyncio.create_subprocess_exec(
            *(side.python(), "-m", f"benchmarks.sides.{side.module}"),
            cwd=ROOT,
            env=variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
    watch = _Watch(process.pid, backing)
    try:
        async with asyncio.timeout(limit):
            await _listen(process, watch)
            code: int | None = await process.wait()
    except TimeoutError:
        code = None
    finally:
        watch.stop()
        with suppress(ProcessLookupError):  # also what it started and left behind
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return code, watch.row


async def _listen(process: asyncio.subprocess.Process, watch: _Watch) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        await asyncio.to_thread(watch.hear, line)


def _outcome(code: int | None, row: Row, wanted: int) -> str:
    if code is None:
        return "out of time"
    if code:
        return f"exit code {code}"
    if row.get("documents") != wanted:
        return f"{row.get('documents', 0)} of {wanted} documents"
    if row["vectors"] < LEAST_VECTORS * row["chunks"]:
        return f"{row['vectors']} vectors of {row['chunks']} chunks"
    return "ok"


async def _vectors(backing: Backing, database: str) -> int:
    """Rows with a vector, in whichever tables the side has made: the database is asked, not the side."""
    owner = await asyncpg.connect(backing.postgres.url(database=database))
    try:
        tables = [row["table_name"] for row in await owner.fetch(VECTOR_TABLES)]
        return sum([await owner.fetchval(f'SELECT count(*) FROM public."{name}"') for name in tables])
    finally:
        await owner.close()
