"""MiniLM-L6 in this process: onnxruntime and a WordPiece tokenizer, no torch, no network.

Mean pooling over at most 256 tokens and unit length, as the model's authors publish it
(sentence-transformers/all-MiniLM-L6-v2).
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no types
from tokenizers import Tokenizer

from arqueduct.embedding import EmbeddingModel, Vectors
from arqueduct.embedding.quantise import model_file
from arqueduct.embedding.turns import Turns
from arqueduct.errors import SetupError
from arqueduct.settings import Settings

__all__ = ["MiniLMEmbedder", "batches"]

Result = TypeVar("Result")

TOKENIZER = Path(__file__).with_name("minilm_tokenizer.json")
TOKENS = 256
"""Longest text the model was trained for; the rest of a longer one is not read."""
READ_CHARS = 20 * TOKENS
"""Characters that are given to the tokenizer: far more than 256 tokens have, and it would read megabytes."""
CHARS_PER_TOKEN = 4
BATCH_TEXTS = 8
BATCH_TOKENS = 256
"""Tokens of one run of the model. Larger runs fall out of the CPU's cache: eight texts of 230 tokens ran at 13 texts
a second together and at 24 one by one; of 26 tokens, at 320 together and at 260 one by one. A query waits for one."""

QUERY, DOCUMENTS = 0, 1


class MiniLMEmbedder:
    """Runs the model in one thread of its own, a small batch at a time; see `Embedder`.

    Queries go between the batches of long calls, and a cancelled call stops after its batch.
    """

    batch = 32  # about 1.5 s of one CPU: often enough for progress, large enough to sort by length

    def __init__(self, model: EmbeddingModel, *, models: Path, threads: int) -> None:
        self.model = model
        self._models = models
        self._threads = threads
        self._turns = Turns()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="minilm")
        self._loaded: tuple[Tokenizer, onnxruntime.InferenceSession] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, model: EmbeddingModel) -> "MiniLMEmbedder":
        """`embedding_threads`, or a fair share of the cores for each worker process."""
        share = (os.cpu_count() or 1) // max(1, settings.workers)
        return cls(model, models=settings.data_dir / "models", threads=settings.embedding_threads or max(1, share))

    async def warm(self) -> None:
        """Loads the model now, so that the first text need not wait: 0.3 s, and some 5 s once on a new machine."""
        await self.embed_query("warm")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        vectors = np.empty((len(texts), self.model.dimensions), np.float32)
        for rows in batches([len(text) for text in texts]):
            vectors[rows] = await self._run([texts[row] for row in rows], DOCUMENTS)
        return vectors

    async def embed_query(self, text: str) -> Vectors:
        """See `Embedder.embed_query`."""
        vector: Vectors = (await self._run([text], QUERY))[0]
        return vector

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._loaded = None

    async def _run(self, texts: list[str], rank: int) -> Vectors:
        async with self._turns.take(rank):
            return await self._in_thread(lambda: self._vectors(texts))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _vectors(self, texts: list[str]) -> Vectors:
        tokenizer, session = self._loaded = self._loaded or _load(self._models, self._threads)
        # One by one: encode_batch would start a thread for each core of the machine.
        tokens = [tokenizer.encode(text[:READ_CHARS]).ids for text in texts]
        mask = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        ids = np.zeros_like(mask)
        for row, known in enumerate(tokens):
            ids[row, : len(known)] = known
            mask[row, : len(known)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return _pooled(session.run(["last_hidden_state"], inputs)[0], mask)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts that run together: of similar length (in characters), at most 8, about 256 tokens in all.

    Shortest first, so that little of a run is padding.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        tokens = min(TOKENS, lengths[index] // CHARS_PER_TOKEN + 2)
        if batch and (len(batch) == BATCH_TEXTS or (len(batch) + 1) * tokens > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _pooled(hidden: Any, mask: np.ndarray[Any, np.dtype[np.int64]]) -> Vectors:
    """Mean of the real tokens' vectors, in unit length."""
    sums: Vectors = np.einsum("btd,bt->bd", hidden, mask.astype(np.float32))
    unit: Vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)  # the count of tokens cancels out
    return unit


def _load(models: Path, threads: int) -> tuple[Tokenizer, onnxruntime.InferenceSession]:
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena keeps the largest run's memory for ever: 655 MB
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # would burn CPU between two runs
    options.log_severity_level = 3  # errors; its warnings tell about the graph, which nobody can change
    path = model_file(models)
    try:
        return tokenizer, onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen, without a common base
        raise SetupError(
            f"The embedding model {path} cannot be loaded; delete the file and start again. {error}"
        ) from error
