"""Documents a second with the local model, beside the model alone with as many threads on the same texts."""

import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from arqueduct.embedding import model_of
from arqueduct.embedding.minilm import MiniLMEmbedder
from arqueduct.settings import Settings
from benchmarks.backing import Backing
from benchmarks.installation import Installation, installed

__all__ = ["measure"]

MOST_CHARS = 700
"""Of a text, so that it surely is one chunk."""


async def measure(backing: Backing, texts: Sequence[Path], rounds: int, count: int) -> list[float]:
    """Ours by the model alone, one ratio a round of `count` new texts. Raises `ValueError` for too few texts."""
    contents = [text for text in (path.read_text() for path in texts) if len(text) <= MOST_CHARS]
    if len(contents) < rounds * count:
        raise ValueError(f"{rounds} rounds of {count} texts need more than {len(contents)} short ones.")
    found = []
    async with installed(backing, ARQUEDUCT_EMBEDDER="local") as ours:
        alone = _model(ours.folder.path / "models")
        await alone.warm()
        await _carry(ours, ["The first text loads the model."])
        for number in range(rounds):
            chosen = contents[number * count : (number + 1) * count]
            found.append(await _seconds_alone(alone, chosen) / await _carry(ours, chosen))
        await alone.aclose()
    return found


def _model(models: Path) -> MiniLMEmbedder:
    settings = Settings(embedder="local")
    return MiniLMEmbedder(model_of(settings), models=models, threads=max(1, os.cpu_count() or 1))


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
