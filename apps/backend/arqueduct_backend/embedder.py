"""Query vectors: the embedder is opened while the API already serves, and who searches before that waits."""

import asyncio

import structlog

from arqueduct.database import Transaction
from arqueduct.embedding import Embedder, EmbeddingModel, Vectors, model_of, open_embedder
from arqueduct.errors import ArqueductError, DependencyUnavailable, PermanentError
from arqueduct.settings import Settings

__all__ = ["QueryEmbedder"]

log = structlog.get_logger()


class QueryEmbedder:
    """Embeds queries under the configured model, and knows that model's id in this database."""

    def __init__(self, settings: Settings, embedder: Embedder | None = None) -> None:
        """Raises `SetupError` for a model that cannot be had."""
        self._settings = settings
        self._embedder = embedder
        self._opening = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None
        self._model_id: int | None = None
        self.model: EmbeddingModel = embedder.model if embedder else model_of(settings)

    def warm_up(self) -> None:
        """Begins to load a model of this process; a provider elsewhere is asked only when somebody searches."""
        if self._embedder is None and self._settings.effective_embedder == "local":
            self._warming = asyncio.create_task(self._warm_up(), name="embedder warm-up")

    async def embed(self, query: str) -> Vectors:
        """Raises `DependencyUnavailable` and `ProviderLimited`: a refusal by the provider is not the caller's fault."""
        try:
            return await (await self._open()).embed_query(query)
        except PermanentError as error:
            raise DependencyUnavailable(f"The query cannot be embedded: {error}") from error

    async def model_id(self, transaction: Transaction) -> int:
        """Under which vectors of this model are stored. Raises `DependencyUnavailable` before it is registered."""
        if self._model_id is None:
            self._model_id = await transaction.driver.fetchval(
                "SELECT id FROM embedding_models WHERE name = $1", self.model.name
            )
        if self._model_id is None:
            raise DependencyUnavailable(
                f"The embedding model {self.model.name} is not registered in this database: run `arqueduct migrate up`."
            )
        return self._model_id

    async def aclose(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        if self._embedder is not None:
            await self._embedder.aclose()

    async def _open(self) -> Embedder:
        async with self._opening:
            if self._embedder is None:
                # In a thread: importing the runtime of a model takes up to a second.
                self._embedder = await asyncio.to_thread(open_embedder, self._settings)
            return self._embedder

    async def _warm_up(self) -> None:
        try:
            await self.embed("warm up")
        except ArqueductError as error:
            log.warning("embedder not ready", error=str(error))
