"""Embeddings from OpenAI and from every server that speaks its API (Ollama, vLLM, LiteLLM, …)."""

import asyncio
import base64
import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import openai

from arqueduct.embedding import EmbeddingModel, Vectors
from arqueduct.embedding.known import is_shortenable, openai_model
from arqueduct.embedding.provider_errors import translated
from arqueduct.errors import EmbeddingRejected, SetupError
from arqueduct.settings import Settings

__all__ = ["OpenAIEmbedder", "requests_of"]

REQUEST_SECONDS = 120.0
"""A full request to a model that runs on a CPU takes a minute; OpenAI takes about one second."""
QUERY_SECONDS = 20.0
"""Nobody waits longer for a search."""
REQUEST_BYTES = 500_000
"""UTF-8 bytes of the texts of one request. Providers take 300,000 tokens, and a token has 1.7 bytes in the densest
text met (digits, minified code), 4 in English."""


ENCODING = re.compile(r"encoding_format|base64", re.IGNORECASE)


class _Item(msgspec.Struct):
    embedding: str | list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]


_decode = msgspec.json.Decoder(_Answer).decode


class OpenAIEmbedder:
    """One request after the other for one call; calls at the same time share `embedding_requests`; see `Embedder`.

    It tries nothing twice: whether and when to try again is the job's decision.
    """

    def __init__(
        self,
        model: EmbeddingModel,
        *,
        provider_model: str,
        batch: int,
        requests: int,
        api_key: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self.model = model
        self.batch = batch
        self._provider_model = provider_model
        self._key = api_key
        # A server without keys (Ollama) takes any; the client insists on one.
        self._client = openai.AsyncOpenAI(api_key=api_key or "none", base_url=base_url, max_retries=0)
        self._slots = asyncio.Semaphore(requests)
        self._dimensions = model.dimensions if is_shortenable(provider_model) else openai.omit
        self._encoding: Literal["base64", "float"] = "base64"  # a quarter of the bytes; see _embed

    @classmethod
    def from_settings(cls, settings: Settings, model: EmbeddingModel) -> "OpenAIEmbedder":
        """Raises `SetupError` when there is neither a key nor an address."""
        key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
        if not key and not settings.openai_base_url:
            raise SetupError("The embedder `openai` needs OPENAI_API_KEY, or OPENAI_BASE_URL of a server without keys.")
        return cls(
            model,
            provider_model=openai_model(settings),
            batch=settings.embedding_batch,
            requests=settings.embedding_requests,
            api_key=key,
            base_url=settings.openai_base_url,
        )

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        parts = [await self._embed(part, REQUEST_SECONDS) for part in requests_of(texts, self.batch)]
        return np.concatenate(parts) if parts else np.empty((0, self.model.dimensions), np.float32)

    async def embed_query(self, text: str) -> Vectors:
        """See `Embedder.embed_query`."""
        vector: Vectors = (await self._embed([text], QUERY_SECONDS))[0]
        return vector

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._client.close()

    async def _embed(self, texts: Sequence[str], timeout: float) -> Vectors:
        try:
            body = await self._ask(texts, timeout)
        except EmbeddingRejected as error:
            # Some servers refuse what they do not know instead of ignoring it.
            if self._encoding == "float" or not ENCODING.search(error.message):
                raise
            self._encoding = "float"
            body = await self._ask(texts, timeout)
        # In a thread: an answer in floats has up to 20 MB of JSON.
        return await asyncio.to_thread(_vectors, body, len(texts), self.model)

    async def _ask(self, texts: Sequence[str], timeout: float) -> bytes:
        async with self._slots:
            try:
                answer = await self._client.embeddings.with_raw_response.create(
                    input=[text or " " for text in texts],  # providers refuse an empty text
                    model=self._provider_model,
                    dimensions=self._dimensions,
                    encoding_format=self._encoding,
                    timeout=timeout,
                )
            except openai.APIError as error:
                raise translated(error, self._key) from error
            return answer.content


def requests_of(texts: Sequence[str], batch: int) -> Iterator[list[str]]:
    """Consecutive texts of one request: at most `batch`, and as many as a provider's limit of tokens surely allows."""
    part: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if part and (len(part) == batch or size + length > REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(text)
        size += length
    if part:
        yield part


def _vectors(body: bytes, count: int, model: EmbeddingModel) -> Vectors:
    try:
        items = _decode(body).data
    except msgspec.DecodeError as error:
        start = body[:100].decode(errors="replace")
        raise EmbeddingRejected(f"The embedding provider's answer has no embeddings ({error}): {start}") from error
    if len(items) != count:
        raise EmbeddingRejected(f"The embedding provider answered {count} texts with {len(items)} vectors.")
    rows = [_row(item.embedding, model) for item in _in_order(items)]
    vectors = np.stack(rows)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise EmbeddingRejected("The embedding provider answered with a vector that is zero or not a number.")
    unit: Vectors = vectors / lengths
    return unit


def _in_order(items: list[_Item]) -> list[_Item]:
    """By `index`, as the API promises. Servers that leave it out, or write 0 throughout, keep the order."""
    if not any(item.index for item in items):
        return items
    if sorted(item.index or 0 for item in items) != list(range(len(items))):
        raise EmbeddingRejected("The embedding provider's vectors cannot be told apart: their indices are wrong.")
    return sorted(items, key=lambda item: item.index or 0)


def _row(embedding: str | list[float], model: EmbeddingModel) -> Vectors:
    if isinstance(embedding, str):
        try:
            row = np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
        except ValueError as error:
            raise EmbeddingRejected(f"The embedding provider's base64 cannot be read: {error}") from error
    else:
        row = np.asarray(embedding, np.float32)
    if len(row) != model.dimensions:
        raise EmbeddingRejected(
            f"The embedding provider's vectors have {len(row)} dimensions, not {model.dimensions}: set "
            f"ARQUEDUCT_EMBEDDING_DIMENSIONS={len(row)}, or another model."
        )
    return row
