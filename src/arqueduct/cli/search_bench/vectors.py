"""Vectors kept in a file between runs: the local model reads some twenty passages a second."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from arqueduct.embedding import Embedder, Vectors

__all__ = ["vectors_of"]

AT_ONCE = 256


async def vectors_of(texts: Sequence[str], embedder: Embedder, file: Path, say: Callable[[str], None]) -> Vectors:
    """The vector of each text, in their order: from the file, else from the model, and then into the file.

    What was made is kept every 256 texts: an interrupted run goes on where it was.
    """
    names = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    known = await asyncio.to_thread(_load, file)
    missing = {name: text for name, text in zip(names, texts, strict=True) if name not in known}
    new = list(missing.items())
    for begin in range(0, len(new), AT_ONCE):
        say(f"Embedding passages, {begin:,} of {len(new):,} …")
        part = new[begin : begin + AT_ONCE]
        made = await embedder.embed([text for _, text in part])
        known.update(zip((name for name, _ in part), made, strict=True))
        await asyncio.to_thread(_save, file, known)
    return np.stack([known[name] for name in names])


def _load(file: Path) -> dict[str, Vectors]:
    if not file.exists():
        return {}
    with np.load(file) as kept:
        return dict(zip(kept["names"].tolist(), kept["vectors"], strict=True))


def _save(file: Path, known: dict[str, Vectors]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez(part, names=np.array(list(known)), vectors=np.stack(list(known.values())))
    part.replace(file)
