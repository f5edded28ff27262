"""The straightforward best script: no jobs, no progress, no retries. The practical limit of a machine.

Two processes extract and split; four batches of 256 are embedded at a time; each batch is one binary COPY.
"""

import asyncio
import base64
import multiprocessing
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeAlias

import asyncpg
import httpx
import msgspec
import numpy as np
from pgvector.asyncpg import register_vector

from benchmarks.sides import shared

PROCESSES = 2
READ_AHEAD = 6
"""Documents in the pool at once: keeps both processes busy, bounds memory."""

Row: TypeAlias = tuple[int, int, str]
"""Number of the document, position in it, text."""
Batches: TypeAlias = "asyncio.Queue[list[Row] | None]"


def chunks_of(path: str) -> tuple[list[str], int]:
    text, pages = shared.extract(path)
    return shared.splitter().split_text(text), pages


def warm_up() -> None:
    """Imports what `chunks_of` needs, so that the clock begins with workers that are up."""
    import pypdfium2  # type: ignore[import-untyped]  # noqa: F401 - ships no types

    shared.splitter()


async def embed(http: httpx.AsyncClient, texts: Sequence[str]) -> list[Any]:
    body = {"model": shared.MODEL, "input": texts, "encoding_format": "base64"}
    answer = (await http.post(f"{shared.EMBED_URL}/embeddings", content=msgspec.json.encode(body))).raise_for_status()
    data = msgspec.json.decode(answer.content)["data"]
    return [np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in data]


async def read(workers: ProcessPoolExecutor, paths: Sequence[str], batches: Batches) -> int:
    """Puts the chunks of all documents into full batches, in order; returns the pages."""
    loop, running, rows, pages = asyncio.get_running_loop(), deque[Any](), list[Row](), 0
    numbered = iter(enumerate(paths))
    while True:
        while len(running) < READ_AHEAD and (item := next(numbered, None)):
            running.append((item[0], loop.run_in_executor(workers, chunks_of, item[1])))
        if not running:
            break
        number, future = running.popleft()
        texts, count = await future
        pages += count
        rows += [(number, position, text) for position, text in enumerate(texts)]
        while len(rows) >= shared.EMBED_BATCH:
            await batches.put(rows[: shared.EMBED_BATCH])
            rows = rows[shared.EMBED_BATCH :]
    if rows:
        await batches.put(rows)
    for _ in range(shared.EMBED_IN_FLIGHT):
        await batches.put(None)
    return pages


async def store(http: httpx.AsyncClient, database: "asyncpg.Pool[asyncpg.Record]", batches: Batches) -> int:
    stored = 0
    while rows := await batches.get():
        vectors = await embed(http, [row[2] for row in rows])
        async with database.acquire() as connection:
            await connection.copy_records_to_table(
                "chunks",
                columns=["document_id", "position", "content", "embedding"],
                records=[(*row, vector) for row, vector in zip(rows, vectors, strict=True)],
            )
        stored += len(rows)
    return stored


async def main() -> None:
    paths, loop = shared.input_paths(), asyncio.get_running_loop()
    async with asyncpg.create_pool(shared.DATABASE_URL, min_size=2, max_size=2, init=register_vector) as database:
        await database.execute(shared.SCHEMA)
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, mp_context=spawning, initializer=warm_up) as workers:
            await asyncio.gather(*(loop.run_in_executor(workers, warm_up) for _ in range(2 * PROCESSES)))
            async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
                clock = shared.Clock()
                await database.executemany("INSERT INTO documents (id, path) VALUES ($1, $2)", list(enumerate(paths)))
                batches: Batches = asyncio.Queue(maxsize=2 * shared.EMBED_IN_FLIGHT)
                storing = (store(http, database, batches) for _ in range(shared.EMBED_IN_FLIGHT))
                pages, *stored = await asyncio.gather(read(workers, paths, batches), *storing)
                clock.stop(documents=len(paths), pages=pages, chunks=sum(stored))


if __name__ == "__main__":
    asyncio.run(main())
