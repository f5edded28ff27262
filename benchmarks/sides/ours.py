"""Arqueduct itself: `arqueduct up` on the given Postgres and Redis, everything at its defaults but what is common.

The queue is paused, all documents are uploaded over the API, and the queue goes on. The clock runs from the first claim
of a job to the last end, both as Postgres has them: not from the resumption, which a worker notices when it looks next.
Whatever begins before its documents are claimed (parsers, connections) is up by then, as with the other sides.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import redis

from arqueduct.cli.own_up import running_up
from arqueduct.repositories import rules
from arqueduct.supervisor.folder import DataFolder
from benchmarks.sides import shared

UPLOADS_AT_ONCE = 8
LOOK_SECONDS = 0.2
WRITTEN_SECONDS, STILL_SECONDS = 10.0, 0.7
"""Longest wait for what workers write down later, and how long nothing new has come when it is all there."""
OPEN = "('queued', 'running', 'paused')"
SETTINGS = {
    "ARQUEDUCT_EMBEDDING_DIMENSIONS": str(shared.DIMENSIONS),
    "ARQUEDUCT_EMBEDDING_MODEL": shared.MODEL,
    "ARQUEDUCT_EMBEDDING_BATCH": str(shared.EMBED_BATCH),
    "ARQUEDUCT_EMBEDDING_REQUESTS": str(shared.EMBED_IN_FLIGHT),
    "ARQUEDUCT_CHUNK_CHARS": str(shared.CHUNK),
    "ARQUEDUCT_CHUNK_OVERLAP": str(shared.OVERLAP),
    "ARQUEDUCT_LOG_LEVEL": "warning",
    "ARQUEDUCT_SWEEP": "1",  # a worker sees the resumption at its next look: by default within five seconds
}


async def main() -> None:
    paths = [Path(path) for path in shared.input_paths()]
    folder = Path(tempfile.mkdtemp(prefix="arqueduct-bench-"))
    os.environ.update(SETTINGS | given_servers())
    try:
        async with running_up(folder, "--port", "0", "--workers", os.environ.get("PEER_WORKERS", "1")):
            await carry(DataFolder(folder), paths)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def given_servers() -> dict[str, str]:
    return {
        "ARQUEDUCT_DATABASE_URL": shared.DATABASE_URL,
        "ARQUEDUCT_REDIS_URL": shared.REDIS_URL,
        "OPENAI_BASE_URL": shared.EMBED_URL,
    }


async def carry(folder: DataFolder, paths: Sequence[Path]) -> None:
    runtime = folder.running()
    assert runtime is not None
    owner = await asyncpg.connect(shared.DATABASE_URL)
    try:
        await rules.pause(owner, rules.EVERYTHING)
        upload_seconds = await upload(folder, paths)
        await set_counters_back(owner)
        shared.say(event="begun", part=runtime.pids["worker"])
        await rules.resume(owner, rules.EVERYTHING)
        while await owner.fetchval(f"SELECT count(*) FROM jobs WHERE state IN {OPEN}"):
            await asyncio.sleep(LOOK_SECONDS)
        shared.say(
            event="done",
            upload_seconds=round(upload_seconds, 3),
            **await counts(owner),
            **await result(owner),
        )
        shared.say(event="told", stage_seconds=await stage_seconds(owner))
    finally:
        await owner.close()


async def upload(folder: DataFolder, paths: Sequence[Path]) -> float:
    """Seconds. Raises `RuntimeError` when one is refused."""
    credentials = folder.known_credentials()
    assert credentials is not None
    gate, began = asyncio.Semaphore(UPLOADS_AT_ONCE), time.perf_counter()
    async with httpx.AsyncClient(
        base_url=credentials.url, headers={"X-API-Key": credentials.api_key}, timeout=120, trust_env=False
    ) as http:

        async def put(path: Path) -> None:
            async with gate:
                answer = await http.post("/api/v1/documents", files={"file": (path.name, path.read_bytes())})
            if not answer.is_success:
                raise RuntimeError(f"{path.name} was refused: {answer.status_code} {answer.text[:300]}")

        await asyncio.gather(*map(put, paths))
    return time.perf_counter() - began


async def set_counters_back(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    await owner.execute("SELECT pg_stat_statements_reset()")
    with redis.Redis.from_url(shared.REDIS_URL) as client:
        client.config_resetstat()


async def counts(owner: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """Round trips to Postgres (those of this script are few), commands that Redis ran, and how often it was written to.

    A statement is a round trip, but for the one that takes on role and tenant, which goes with BEGIN. Redis reads what
    is sent together at once, so its reads are the round trips.
    """
    statements = await owner.fetchval(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
        " WHERE d.datname = current_database() AND query NOT LIKE 'SELECT set\\_config(''role''%'"
    )
    with redis.Redis.from_url(shared.REDIS_URL) as client:
        stats: Any = client.info("stats")
    return {
        "postgres_round_trips": statements,
        "redis_commands": stats["total_commands_processed"],
        "redis_round_trips": stats["total_reads_processed"],
    }


async def result(owner: "asyncpg.Connection[asyncpg.Record]") -> dict[str, Any]:
    """What was stored and how long it took."""
    jobs = await owner.fetch("SELECT state::text, started_at, finished_at FROM jobs ORDER BY finished_at")
    stored = await owner.fetchrow("SELECT sum(pages)::int AS pages, sum(chunks)::int AS chunks FROM documents")
    assert stored is not None
    took = jobs[-1]["finished_at"] - min(job["started_at"] for job in jobs)
    states = Counter(job["state"] for job in jobs)
    return {
        "seconds": round(took.total_seconds(), 3),
        "documents": states["completed"],
        "pages": stored["pages"],
        "chunks": stored["chunks"],
        "states": dict(states),
    }


async def stage_seconds(owner: "asyncpg.Connection[asyncpg.Record]") -> dict[str, float]:
    """By stage, over all jobs. Workers write them down a moment after the end, outside the clock."""
    by_stage = "SELECT stage, sum(seconds)::float8 AS spent, count(*) FROM stage_runs GROUP BY stage ORDER BY stage"
    before, rows = -1, await owner.fetch(by_stage)
    deadline = time.monotonic() + WRITTEN_SECONDS
    while time.monotonic() < deadline and (before != (count := sum(row["count"] for row in rows)) or len(rows) < 3):
        await asyncio.sleep(STILL_SECONDS)
        before, rows = count, await owner.fetch(by_stage)
    return {row["stage"]: round(row["spent"], 3) for row in rows}


if __name__ == "__main__":
    asyncio.run(main())
