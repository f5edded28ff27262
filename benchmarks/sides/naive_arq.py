"""The design that many write first: arq with its defaults, one job a document, one embedding request a chunk.

Extraction runs in the event loop, every chunk publishes progress, rows go in one by one. Run as a module it is the
producer; `arq benchmarks.sides.naive_arq.WorkerSettings` is the worker that it starts.
"""

import asyncio
import json
import sys
from typing import Any, ClassVar

import asyncpg
import httpx
import numpy as np
from arq import create_pool
from arq.connections import RedisSettings
from pgvector.asyncpg import register_vector

from benchmarks.sides import shared

LOOK_SECONDS = 0.1


async def embed(http: httpx.AsyncClient, text: str) -> Any:
    answer = await http.post(f"{shared.EMBED_URL}/embeddings", json={"model": shared.MODEL, "input": text})
    return np.array(answer.raise_for_status().json()["data"][0]["embedding"], dtype=np.float32)


async def process_document(ctx: dict[str, Any], number: int, path: str) -> None:
    database = ctx["database"]
    await database.execute("UPDATE documents SET status = 'processing' WHERE id = $1", number)
    try:
        text, pages = shared.extract(path)
        texts, vectors = shared.splitter().split_text(text), []
        for position, chunk in enumerate(texts):
            vectors.append(await embed(ctx["http"], chunk))
            message = {"document": number, "stage": "embedding", "progress": (position + 1) / len(texts)}
            await ctx["redis"].publish(f"progress:{number}", json.dumps(message))
        async with database.acquire() as connection, connection.transaction():
            for position, (chunk, vector) in enumerate(zip(texts, vectors, strict=True)):
                await connection.execute(
                    "INSERT INTO chunks (document_id, position, content, embedding) VALUES ($1, $2, $3, $4)",
                    *(number, position, chunk, vector),
                )
        await database.execute(
            "UPDATE documents SET status = 'done', pages = $2, updated_at = now() WHERE id = $1", number, pages
        )
    except Exception:
        await database.execute("UPDATE documents SET status = 'failed' WHERE id = $1", number)
        raise


async def ready(_: dict[str, Any]) -> None:
    """A job that tells the producer that the worker is up."""


async def startup(ctx: dict[str, Any]) -> None:
    ctx["database"] = await asyncpg.create_pool(shared.DATABASE_URL, min_size=1, max_size=10, init=register_vector)
    ctx["http"] = httpx.AsyncClient(timeout=60, trust_env=False)


async def shutdown(ctx: dict[str, Any]) -> None:
    await ctx["http"].aclose()
    await ctx["database"].close()


class WorkerSettings:
    functions: ClassVar = [process_document, ready]
    on_startup, on_shutdown = startup, shutdown
    redis_settings = RedisSettings.from_dsn(shared.REDIS_URL or "redis://")


async def main() -> None:
    paths = shared.input_paths()
    database = await asyncpg.connect(shared.DATABASE_URL)
    await database.execute(shared.SCHEMA)
    redis = await create_pool(WorkerSettings.redis_settings)
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "arq", "benchmarks.sides.naive_arq.WorkerSettings"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    first = await redis.enqueue_job("ready")
    assert first is not None
    await first.result(timeout=60)
    await database.executemany("INSERT INTO documents (id, path) VALUES ($1, $2)", list(enumerate(paths)))
    clock = shared.Clock()
    for number, path in enumerate(paths):
        await redis.enqueue_job("process_document", number, path)
    while await redis.zcard("arq:queue"):
        await asyncio.sleep(LOOK_SECONDS)
    query = "SELECT count(*) AS documents, coalesce(sum(pages), 0) AS pages FROM documents WHERE status = 'done'"
    row = await database.fetchrow(query)
    assert row is not None
    chunks = await database.fetchval("SELECT count(*) FROM chunks")
    clock.stop(documents=row["documents"], pages=row["pages"], chunks=chunks)
    worker.terminate()
    await worker.wait()


if __name__ == "__main__":
    asyncio.run(main())
