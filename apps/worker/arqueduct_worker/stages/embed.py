"""Finds or buys a vector for every passage; each is kept at once, so a retry buys only what is missing."""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from pgvector import HalfVector
from pydantic import Field

from arqueduct import metrics
from arqueduct.artifacts import Chunk, read_lines
from arqueduct.database import Transaction
from arqueduct.embedding import Vectors
from arqueduct.errors import DependencyUnavailable, LeaseLost
from arqueduct.pipeline import Stage, StageContext
from arqueduct.stage_options import Options

__all__ = ["Embed", "EmbedOptions", "text_hash"]

_KNOWN = "SELECT text_hash FROM embeddings WHERE tenant_id = $1 AND model_id = $2 AND text_hash = ANY ($3::bytea[])"

# The condition keeps an attempt that lost its job from leaving vectors behind. In the order of the key, so that two
# transactions that keep the same texts wait for each other instead of deadlocking.
_KEEP = """
    WITH owned AS MATERIALIZED (
        SELECT id, fence, j.document_id
        FROM jobs j JOIN unnest($1::uuid[], $2::int[]) AS mine(id, fence) USING (id, fence) WHERE j.state = 'running'
    ), kept AS (
        INSERT INTO embeddings (tenant_id, model_id, text_hash, vector, bought_for)
        SELECT $3, $4, new.text_hash, new.vector, owned.document_id
        FROM unnest($5::uuid[], $6::bytea[], $7::halfvec[]) AS new(job_id, text_hash, vector)
        JOIN owned ON owned.id = new.job_id ORDER BY new.text_hash
        ON CONFLICT DO NOTHING
    )
    SELECT id, fence FROM owned
"""

KEPT_TOGETHER = 512
"""Vectors of several jobs in one statement: a second where they go into the index at once."""
KEPT_AT_ONCE = 2
"""Statements that keep vectors: then two cores work on the index."""

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
        is_small = 0 < total <= context.embedder.batch
        done = taken = 0
        batches = _batches(read_lines(context.chunks_path, Chunk), context.embedder.batch)
        under_way: set[asyncio.Task[int]] = set()
        lending = ExitStack()
        try:
            while True:
                while not context.is_time_up and len(under_way) < most and taken < total:
                    wanted = min(total - taken, context.embedder.batch)
                    under_way.add(await _begin(context, batches, wanted))
                    taken += wanted
                if not under_way:
                    break
                if is_small:  # its only batch is under way
                    lending.enter_context(context.lent_slot())
                finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                done += sum(await asyncio.gather(*finished))  # not result(): several may have failed
                context.progress(done, total, "chunks")
        finally:
            lending.close()
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


async def _begin(context: StageContext, batches: Iterator[list[str]], wanted: int) -> "asyncio.Task[int]":
    """Reads the next batch, once there is room for it; the room is free again when the task has ended."""
    room = await context.texts.take(wanted)
    try:
        batch: list[str] = await asyncio.to_thread(next, batches, [])
    except BaseException:
        context.texts.give(room)
        raise
    task = asyncio.create_task(_embed(context, batch))
    task.add_done_callback(lambda _: context.texts.give(room))
    return task


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
    tenant_id = context.subject.tenant_id
    question = _Wanted(tenant_id=tenant_id, model_id=context.model_id, hashes=list(wanted))
    known = await context.shared.ask(_known, tenant_id, question)
    return [key for key in wanted if key not in known]


async def _keep(context: StageContext, hashes: list[bytes], vectors: Vectors) -> None:
    subject = context.subject
    bought = _Bought(
        job_id=subject.job_id,
        fence=subject.attempt,
        tenant_id=subject.tenant_id,
        model_id=context.model_id,
        hashes=hashes,
        vectors=vectors,
    )
    try:
        is_owned = await context.shared.ask(
            _keep_all, subject.tenant_id, bought, most=KEPT_TOGETHER, weigh=_Bought.weight, at_once=KEPT_AT_ONCE
        )
    except DependencyUnavailable:  # of those that shared the statement, one may have been at fault
        async with context.database.transaction(subject.tenant_id) as transaction:
            (is_owned,) = await _keep_all(transaction, [bought])
    if not is_owned:
        raise LeaseLost


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    tenant_id: UUID
    model_id: int
    hashes: list[bytes]


@dataclass(frozen=True, kw_only=True)
class _Bought:
    job_id: UUID
    fence: int
    tenant_id: UUID
    model_id: int
    hashes: list[bytes]
    vectors: Vectors

    def weight(self) -> int:
        return len(self.hashes)


async def _known(transaction: Transaction, wanted: Sequence[_Wanted]) -> list[set[bytes]]:
    """All ask about the model of this worker."""
    hashes = list({key for one in wanted for key in one.hashes})
    rows = await transaction.driver.fetch(_KNOWN, wanted[0].tenant_id, wanted[0].model_id, hashes)
    known = {row["text_hash"] for row in rows}
    return [known for _ in wanted]


async def _keep_all(transaction: Transaction, bought: Sequence[_Bought]) -> list[bool]:
    """Whether each attempt still owns its job."""
    rows = await transaction.driver.fetch(
        _KEEP,
        [one.job_id for one in bought],
        [one.fence for one in bought],
        bought[0].tenant_id,
        bought[0].model_id,
        [one.job_id for one in bought for _ in one.hashes],
        [key for one in bought for key in one.hashes],
        [HalfVector(vector) for one in bought for vector in one.vectors],
    )
    owned = {(row["id"], row["fence"]) for row in rows}
    return [(one.job_id, one.fence) in owned for one in bought]
