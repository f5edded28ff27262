"""Passages a second with the local model, beside the model alone with as many threads on the same passages."""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from arqueduct.artifacts import Page
from arqueduct.embedding import model_of
from arqueduct.embedding.minilm import MiniLMEmbedder
from arqueduct.settings import Settings
from arqueduct_worker.parsing.chunking import chunks
from benchmarks.backing import Backing
from benchmarks.installation import Installation, installed

__all__ = ["measure"]

TEXTS = 10
"""In one document, a paragraph each: it has some passages, as documents have. Of the smallest documents the pipeline's
own work is what counts, and the workload of texts measures that."""


async def measure(backing: Backing, texts: Sequence[Path], rounds: int, count: int) -> list[float]:
    """Ours by the model alone, one ratio a round of `count` new documents. Raises `ValueError` for too few texts."""
    if len(texts) < rounds * count * TEXTS:
        raise ValueError(f"{rounds} rounds of {count} documents need {rounds * count * TEXTS} texts, not {len(texts)}.")
    paragraphs = [path.read_text() for path in texts]
    contents = ["\n\n".join(paragraphs[first : first + TEXTS]) for first in range(0, rounds * count * TEXTS, TEXTS)]
    found = []
    async with installed(backing, ARQUEDUCT_EMBEDDER="local") as ours:
        alone = _model(ours.folder.path / "models")
        await alone.warm()
        await _carry(ours, ["The first text loads the model."])
        for number in range(rounds):
            chosen = contents[number * count : (number + 1) * count]
            passages = [passage for content in chosen for passage in _passages(content)]
            found.append(await _seconds_alone(alone, passages) / await _carry(ours, chosen))
        await alone.aclose()
    return found


def _model(models: Path) -> MiniLMEmbedder:
    settings = Settings(embedder="local")
    return MiniLMEmbedder(model_of(settings), models=models, threads=max(1, os.cpu_count() or 1))


def _passages(content: str) -> list[str]:
    """Those that ours cuts."""
    settings = Settings()
    page = Page(number=1, text=content)
    return [chunk.text for chunk in chunks([page], settings.chunk_chars, settings.chunk_overlap, markdown=False)]


async def _seconds_alone(model: MiniLMEmbedder, texts: Sequence[str]) -> float:
    began = time.perf_counter()
    for first in range(0, len(texts), model.batch):
        await model.embed(texts[first : first + model.batch])
    return time.perf_counter() - began


async def _carry(ours: Installation, texts: Sequence[str]) -> float:
    """Seconds from the first claim to the last end."""
    since: datetime = await ours.owner.fetchval("SELECT clock_timestamp()")
    await ours.pause()
    await ours.upload([(f"{number}.txt", text.encode()) for number, text in enumerate(texts)])
    await ours.resume()
    await ours.finished()
    took = "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM jobs WHERE started_at > $1"
    return float(await ours.owner.fetchval(took, since))
