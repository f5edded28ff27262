"""Finds or buys a vector for every passage; each is kept at once, so a retry buys only what is missing."""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from uuid import UUID

from pgvector import HalfVector
from pydantic import Field

from arqueduct import metrics
from arqueduct.artifacts import Chunk, read_lines
from arqueduct.embedding import Vectors
from arqueduct.errors import LeaseLost
from arqueduct.pipeline import Stage, StageContext
from arqueduct.stage_options import Options

__all__ = ["Embed", "EmbedOptions", "text_hash"]

_KNOWN = "SELECT text_hash FROM embeddings WHERE tenant_id = $1 AND model_id = $2 AND text_hash = ANY ($3::bytea[])"

# The condition keeps an attempt that lost its job from leaving vectors behind.
_KEEP = """
    INSERT INTO embeddings (tenant_id, model_id, text_hash, vector, bought_for)
    SELECT $1, $2, new.text_hash, new.vector, $3 FROM unnest($4::bytea[], $5::halfvec[]) AS new(text_hash, vector)
    WHERE EXISTS (SELECT FROM jobs WHERE id = $6 AND fence = $7 AND state = 'running')
    ON CONFLICT DO NOTHING
"""

CHARACTERS_A_TOKEN = 4
"""The usual estimate for English; providers bill what they count themselves."""


class EmbedOptions(Options):
    """How vectors are bought."""

    requests: int | None = Field(default=None, ge=1, le=64, examples=[1])
    """Requests under way at the model, for work that can wait. Null, or more than the installation has: as many as
    that."""


class Embed(Stage):
    """Counts chunks."""

    name = "embed"
    label = "embedding"
    weight = 0.45
    about = "Finds or makes a vector for every passage."
    options = EmbedOptions

    async def run(self, context: StageContext) -> None:
        total: int = context.facts["chunks"]
        installed = context.settings.embedding_requests
        most = min(installed, context.options_of(self, EmbedOptions).requests or installed)
        done = 0
        batches = _batches(read_lines(context.chunks_path, Chunk), context.embedder.batch)
        under_way: set[asyncio.Task[int]] = set()
        try:
            while True:
                while (
                    not context.is_time_up
                    and len(under_way) < most
                    and (batch := await asyncio.to_thread(next, batches, None))
                ):
                    under_way.add(asyncio.create_task(_embed(context, batch)))
                if not under_way:
                    break
                finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                done += sum(await asyncio.gather(*finished))  # not result(): several may have failed
                context.progress(done, total, "chunks")
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        if done < total:
            context.checkpoint()


def text_hash(text: str) -> bytes:
    """Under which a text's vector is found again."""
    return hashlib.sha256(text.encode()).digest()


def _batches(chunks: Iterator[Chunk], size: int) -> Iterator[list[str]]:
    texts = (chunk.text for chunk in chunks)
    while batch := list(islice(texts, size)):
        yield batch


async def _embed(context: StageContext, texts: Sequence[str]) -> int:
    """Makes sure that every text has its vector; returns how many texts that were."""
    wanted = {text_hash(text): text for text in texts}
    missing = await _missing(context, wanted)
    metrics.embedded_texts.labels("kept").inc(len(wanted) - len(missing))
    context.usage.cache_hits += len(wanted) - len(missing)
    if missing:
        began = time.monotonic()
        vectors = await context.embedder.embed([wanted[key] for key in missing])
        metrics.embedding_seconds.observe(time.monotonic() - began)
        metrics.embedded_texts.labels("bought").inc(len(missing))
        tokens = sum(len(wanted[key]) for key in missing) // CHARACTERS_A_TOKEN
        metrics.embedded_tokens.inc(tokens)
        context.usage.tokens += tokens
        context.usage.embedding_requests += 1
        await _keep(context, missing, vectors)
    return len(texts)


async def _missing(context: StageContext, wanted: dict[bytes, str]) -> list[bytes]:
    tenant_id: UUID = context.subject.tenant_id
    async with context.database.transaction(tenant_id) as transaction:
        rows = await transaction.driver.fetch(_KNOWN, tenant_id, context.model_id, list(wanted))
    known = {row["text_hash"] for row in rows}
    return [key for key in wanted if key not in known]


async def _keep(context: StageContext, hashes: list[bytes], vectors: Vectors) -> None:
    subject = context.subject
    # In the order of the key, so that two jobs that buy the same texts wait for each other instead of deadlocking.
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    async with context.database.transaction(subject.tenant_id) as transaction:
        await transaction.driver.execute(
            _KEEP,
            subject.tenant_id,
            context.model_id,
            subject.document_id,
            [hashes[index] for index in order],
            [HalfVector(vectors[index]) for index in order],
            subject.job_id,
            subject.attempt,
        )
        owned = await transaction.driver.fetchval(
            "SELECT EXISTS (SELECT FROM jobs WHERE id = $1 AND fence = $2 AND state = 'running')",
            subject.job_id,
            subject.attempt,
        )
    if not owned:
        raise LeaseLost
