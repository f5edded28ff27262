"""How long the API takes while a worker carries documents: reads, and jobs that are created by an upload."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.backing import Backing
from benchmarks.figures import percentile
from benchmarks.installation import Installation, installed

__all__ = ["LIMIT_MS", "Waits", "measure"]

LIMIT_MS = 50.0
"""Within which 95 % are to be answered."""
PAUSE_SECONDS = 0.02
"""Between two requests: one client that asks in turn, not a load of its own."""
READS = ("/documents?limit=20", "/jobs?limit=20")
LEAST_ANSWERS = 10


_LEFT = """
    SELECT count(*) FROM (SELECT state FROM jobs ORDER BY id LIMIT $1) AS given WHERE state IN ('queued', 'running')
"""


class Waits(NamedTuple):
    """95 % of the answers came within so many milliseconds; `seconds` is how long the worker was busy."""

    reads: float
    creations: float
    answers: int
    seconds: float

    def ratios(self) -> dict[str, float]:
        """The limit by what was measured: 1 and more is within it."""
        return {
            "api_reads_while_busy": LIMIT_MS / self.reads,
            "api_job_creation_while_busy": LIMIT_MS / self.creations,
        }


async def measure(backing: Backing, documents: Sequence[Path]) -> Waits:
    """Uploads the documents, lets them go, and asks until they are done. Raises `RuntimeError` for too few answers."""
    async with installed(backing, OPENAI_BASE_URL=backing.embed_url, ARQUEDUCT_EMBEDDING_DIMENSIONS="384") as ours:
        await ours.pause()
        await ours.upload([(path.name, path.read_bytes()) for path in documents])
        await ours.resume()
        await _until_claimed(ours)
        return await _ask(ours)


async def _until_claimed(ours: Installation) -> None:
    while not await ours.owner.fetchval("SELECT EXISTS (SELECT FROM jobs WHERE state <> 'queued')"):
        await asyncio.sleep(PAUSE_SECONDS)


async def _ask(ours: Installation) -> Waits:
    """Looks for the end before each turn. What it uploads itself comes last, so that it never keeps the worker busy."""
    reads: list[float] = []
    creations: list[float] = []
    began = time.perf_counter()
    given: int = await ours.owner.fetchval("SELECT count(*) FROM jobs")
    while await ours.owner.fetchval(_LEFT, given):
        for route in READS:
            reads.append(await _milliseconds(ours.http, "GET", route))
            await asyncio.sleep(PAUSE_SECONDS)
        text = f"A short document, number {len(creations)}."
        creations.append(await _milliseconds(ours.http, "POST", "/documents", text.encode()))
        await asyncio.sleep(PAUSE_SECONDS)
    seconds = time.perf_counter() - began
    if len(creations) < LEAST_ANSWERS:
        raise RuntimeError(f"The worker was done after {len(creations)} uploads: give it more documents.")
    return Waits(percentile(reads, 0.95), percentile(creations, 0.95), len(reads) + len(creations), seconds)


async def _milliseconds(http: httpx.AsyncClient, method: str, route: str, content: bytes | None = None) -> float:
    files = {"file": ("short.txt", content)} if content is not None else None
    began = time.perf_counter()
    (await http.request(method, route, files=files)).raise_for_status()
    return (time.perf_counter() - began) * 1000
