"""BM25 beside us, run by another Python."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from arqueduct.cli.search_bench.collection import Collection
from arqueduct.cli.search_bench.library import DOCUMENTS, Library
from arqueduct.errors import SetupError

__all__ = ["bm25", "version_of"]

SCRIPT = Path(__file__).with_name("bm25_side.py")
WORD = re.compile(r"\w+")


async def version_of(python: Path) -> str:
    """Of bm25s. Raises `SetupError` if that Python does not have it."""
    return (await _say(python, "version")).decode().strip()


async def bm25(python: Path, collection: Collection, library: Library) -> Mapping[str, Sequence[str]]:
    """Ids of documents by query, best first. Titles are read as the first sentence, stop words are Postgres's."""
    texts = [f"{text.title}. {text.text}" for text in collection.documents]
    words = {word for text in (*texts, *collection.queries.values()) for word in WORD.findall(text.lower())}
    asked = {
        "documents": texts,
        "queries": list(collection.queries.values()),
        "stop_words": await library.stop_words(sorted(words)),
        "depth": DOCUMENTS,
    }
    told = msgspec.json.decode(await _say(python, given=msgspec.json.encode(asked)), type=list[list[int]])
    return {
        query: [collection.documents[place].id for place in places]
        for query, places in zip(collection.queries, told, strict=True)
    }


async def _say(python: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What the script prints. Raises `SetupError` with what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-P", str(SCRIPT), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told, complained = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = complained.decode(errors="replace").strip().splitlines()[-1:]
        raise SetupError(f"{python} cannot run bm25s: {' '.join(last)}. Run `make .venv-peers/.installed`.")
    return told
