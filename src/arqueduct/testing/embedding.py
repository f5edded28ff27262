"""An embedder without a model."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from arqueduct.embedding import EmbeddingModel, Vectors

__all__ = ["HashingEmbedder"]


class HashingEmbedder:
    """Every word is hashed to a direction, a text is the sum of its words: texts that share words score higher.

    The same on every machine and in every process. It knows no synonyms and no word order. `calls`, `texts` and
    `queries` count what was asked of it.
    """

    def __init__(self, dimensions: int = 64, *, batch: int = 32) -> None:
        self.model = EmbeddingModel(name=f"testing/hashing-{dimensions}", dimensions=dimensions)
        self.batch = batch
        self.calls = self.texts = self.queries = 0
        self.closed = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `arqueduct.embedding.Embedder.embed`."""
        self.calls += 1
        self.texts += len(texts)
        rows = [self.vector(text) for text in texts]
        return np.stack(rows) if rows else np.empty((0, self.model.dimensions), np.float32)

    async def embed_query(self, text: str) -> Vectors:
        """See `arqueduct.embedding.Embedder.embed_query`."""
        self.queries += 1
        return self.vector(text)

    async def aclose(self) -> None:
        """See `arqueduct.embedding.Embedder.aclose`."""
        self.closed = True

    def vector(self, text: str) -> Vectors:
        """What `embed` gives for this text."""
        words = re.findall(r"\w+", text.casefold()) or [""]
        total: Vectors = np.stack([_direction(word, self.model.dimensions) for word in words]).sum(axis=0)
        if not total.any():  # the words cancel each other out
            total = _direction(text, self.model.dimensions)
        vector: Vectors = total / np.linalg.norm(total)
        return vector


@lru_cache(maxsize=10_000)
def _direction(word: str, dimensions: int) -> Vectors:
    """A corner of the hypercube, picked by the word's hash: any two are nearly at right angles."""
    bits = hashlib.shake_256(word.encode()).digest((dimensions + 7) // 8)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=dimensions).astype(np.float32) * 2 - 1
