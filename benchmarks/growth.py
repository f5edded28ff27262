"""What a document costs, and how long a search takes, with few documents stored and with many.

Both are measured at once: a worker carries new texts while one client asks for passages, both ways fused.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import datetime
from math import log
from pathlib import Path
from typing import NamedTuple

from benchmarks.backing import Backing, free_port, running_module
from benchmarks.figures import percentile
from benchmarks.installation import Installation, installed
from benchmarks.shelf import PASSAGES, fill

__all__ = ["LIMIT_MS", "Library", "measure", "ratios"]

LIMIT_MS = 100.0
"""Within which 95 % of searches over the larger library are to be answered, while a worker is busy."""
WARM_UP = 50
"""Texts, and searches, before each size: connections know their statements then."""
QUESTION = (3, 6)
"""Words."""
PAUSE_SECONDS = 0.05


class Library(NamedTuple):
    """With so many documents stored."""

    documents: int
    seconds: float
    """Of a new document, in the mean."""
    search_ms: float
    """95 % of searches came within; with the model's answer, which takes a millisecond."""
    searches: int


async def measure(backing: Backing, texts: Sequence[Path], sizes: tuple[int, int], count: int) -> list[Library]:
    """At both sizes, with `count` new texts each. Raises `ValueError` for too few texts."""
    each = WARM_UP + count
    if len(texts) < 2 * each:
        raise ValueError(f"The library needs {2 * each} texts, not {len(texts)}.")
    words = [word for path in texts for word in path.read_text().split()[1:]]
    port = free_port()
    settings = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "ARQUEDUCT_EMBEDDING_DIMENSIONS": "384",
        "ARQUEDUCT_SEARCHES_PER_MINUTE": "1000000",
    }
    found = []
    with running_module("benchmarks.provider", "--port", str(port), "--latency", "0.001", "--per-text", "0", port=port):
        async with installed(backing, **settings) as ours:
            stored = 0
            for number, size in enumerate(sizes):
                await fill(ours, words, size - stored, seed=number)
                stored = size
                found.append(await _at(ours, size, texts[number * each : (number + 1) * each], words))
    return found


def ratios(few: Library, many: Library) -> dict[str, list[float]]:
    """1 and more: no dearer, no slower than the logarithm, within the limit."""
    slower = log(many.documents * PASSAGES) / log(few.documents * PASSAGES)
    return {
        "growth": [few.seconds / many.seconds],
        "search_growth": [few.search_ms * slower / many.search_ms],
        "hybrid_search_while_busy": [LIMIT_MS / many.search_ms],
    }


async def _at(ours: Installation, size: int, texts: Sequence[Path], words: Sequence[str]) -> Library:
    questions = random.Random(size)
    await _carry(ours, texts[:WARM_UP])
    for _ in range(WARM_UP):
        await _search(ours, _question(words, questions))
    await ours.finished()
    since: datetime = await ours.owner.fetchval("SELECT clock_timestamp()")
    await _carry(ours, texts[WARM_UP:])
    waits = []
    while await ours.is_busy():
        waits.append(await _search(ours, _question(words, questions)))
        await asyncio.sleep(PAUSE_SECONDS)
    took = "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM jobs WHERE started_at > $1"
    seconds = float(await ours.owner.fetchval(took, since)) / (len(texts) - WARM_UP)
    return Library(size, seconds, percentile(waits, 0.95), len(waits))


async def _carry(ours: Installation, texts: Sequence[Path]) -> None:
    """All are queued before the first is taken."""
    await ours.pause()
    await ours.upload([(path.name, path.read_bytes()) for path in texts])
    await ours.resume()


def _question(words: Sequence[str], generator: random.Random) -> str:
    """Some neighbours: in the order and with the frequency that people's words have."""
    first = generator.randrange(len(words) - QUESTION[1])
    return " ".join(words[first : first + generator.randint(*QUESTION)])


async def _search(ours: Installation, question: str) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    answer = await ours.http.post("/search", json={"query": question, "mode": "hybrid"})
    answer.raise_for_status()
    return (time.perf_counter() - began) * 1000
