"""Texts into vectors: one contract, a model in this process, and any provider that speaks OpenAI's API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from arqueduct.embedding.known import LOCAL_DIMENSIONS, LOCAL_MODEL, local_settings, openai_dimensions, openai_model
from arqueduct.settings import Settings

__all__ = ["Embedder", "EmbeddingModel", "Vectors", "model_of", "open_embedder"]

Vectors: TypeAlias = NDArray[np.float32]
"""Of one text: shape (dimensions,). Of many: shape (texts, dimensions), in their order. Rows have unit length."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingModel:
    """What makes vectors comparable: two vectors may meet in a search only if their models are equal."""

    name: str
    """Stable and unique: `local/all-MiniLM-L6-v2-int8`, `openai/text-embedding-3-small`."""
    dimensions: int


class Embedder(Protocol):
    """Turns texts into vectors.

    Both methods raise `ProviderLimited` and `DependencyUnavailable` for what may work later, `EmbeddingRejected`
    for what will not, and `SetupError` when a model cannot be loaded.
    """

    model: EmbeddingModel
    batch: int
    """How many texts one call takes at best; more are allowed and cost no more."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text, in the order of the texts; no texts, no rows. May be cancelled between two batches."""
        ...

    async def embed_query(self, text: str) -> Vectors:
        """One vector, ahead of all texts that wait: somebody is looking at an empty search page."""
        ...

    async def aclose(self) -> None:
        """Frees threads and connections; calls that wait fail."""
        ...


def model_of(settings: Settings) -> EmbeddingModel:
    """Name and dimensions without loading anything; migrations need them. Raises `SetupError`."""
    if settings.effective_embedder == "local":
        local_settings(settings)
        return EmbeddingModel(name=f"local/{LOCAL_MODEL}-int8", dimensions=LOCAL_DIMENSIONS)
    dimensions, is_native = openai_dimensions(settings)
    suffix = "" if is_native else f"@{dimensions}"
    return EmbeddingModel(name=f"openai/{openai_model(settings)}{suffix}", dimensions=dimensions)


def open_embedder(settings: Settings) -> Embedder:
    """The embedder of these settings. Nothing is loaded and nobody is asked before the first text.

    Raises `SetupError` for a model that cannot be had.
    """
    model = model_of(settings)
    from arqueduct.embedding.coalesce import CoalescingEmbedder

    # Imported here: onnxruntime and the client take 0.3 to 1 s and tens of megabytes that only one of the two needs.
    if settings.effective_embedder == "local":
        from arqueduct.embedding.minilm import MiniLMEmbedder

        # One call at a time: the model runs in one thread, on short texts of many jobs faster than on each alone.
        return CoalescingEmbedder(MiniLMEmbedder.from_settings(settings, model), requests=1)
    from arqueduct.embedding.openai_compatible import OpenAIEmbedder

    return CoalescingEmbedder(OpenAIEmbedder.from_settings(settings, model), requests=settings.embedding_requests)
