"""The collection in a Postgres of its own, and its queries asked there.

Passages are cut by the pipeline's chunker and stored straight into the tables: what a search sees is the same as after
an ingest, and vectors can be kept between runs. How documents get there has benchmarks of its own.
"""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from arqueduct import identity, search
from arqueduct.artifacts import Chunk, Page
from arqueduct.cli.search_bench.collection import Collection, Text
from arqueduct.cli.search_bench.vectors import vectors_of
from arqueduct.database import Database, Role
from arqueduct.embedded import EmbeddedPostgres, remove
from arqueduct.embedding import Embedder
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.search import Mode
from arqueduct.settings import Settings
from arqueduct.supervisor.bootstrap import bring_up_schema, let_roles_log_in
from arqueduct.supervisor.servers import to_the_end

__all__ = ["Asked", "Library", "open_library"]

DOCUMENTS = 100
"""Documents that are wanted for a query: recall is measured so far."""
PASSAGES = 3 * DOCUMENTS
"""Passages that are asked for: a long document has several, and only its best counts."""
LANGUAGE = "english"

_STOP_WORDS = "SELECT word FROM unnest($1::text[]) word WHERE ts_lexize('english_stem', word) = '{}'"


class Asked(NamedTuple):
    """All queries in one mode."""

    rankings: Mapping[str, Sequence[str]]
    """Ids of documents by query, best first."""
    seconds: Sequence[float]
    """Of each query, without the embedding of its text."""


class Library:
    """A collection that can be asked."""

    def __init__(
        self, url: str, database: Database, me: NewIdentity, model_id: int, embedder: Embedder, collection: Collection
    ) -> None:
        self.passages = 0
        self._url = url
        self._database = database
        self._me = me
        self._model_id = model_id
        self._embedder = embedder
        self._collection = collection
        self._names: dict[UUID, str] = {}

    async def ask(self, mode: Mode) -> Asked:
        """Each query once, as the API would."""
        rankings, seconds = {}, []
        for name, query in self._collection.queries.items():
            vector = None if mode is Mode.TEXT else await self._embedder.embed_query(query)
            began = time.perf_counter()
            async with self._database.transaction(self._me.tenant_id) as transaction:
                found = await search.rank(
                    transaction,
                    query=query,
                    vector=vector,
                    model_id=self._model_id,
                    dimensions=self._embedder.model.dimensions,
                    mode=mode,
                    limit=PASSAGES,
                    language=LANGUAGE,
                )
                documents = await search.documents_of(transaction, [chunk_id for chunk_id, _, _ in found])
            seconds.append(time.perf_counter() - began)
            best = dict.fromkeys(self._names[documents[chunk_id]] for chunk_id, _, _ in found)
            rankings[name] = list(best)[:DOCUMENTS]
        return Asked(rankings, seconds)

    async def stop_words(self, words: Sequence[str]) -> list[str]:
        """Those that Postgres leaves out of its index."""
        owner = await asyncpg.connect(self._url)
        try:
            return [row["word"] for row in await owner.fetch(_STOP_WORDS, list(words))]
        finally:
            await owner.close()

    async def fill(self, settings: Settings, vectors: Path, say: Callable[[str], None]) -> None:
        """Cuts, embeds and stores the documents."""
        cut = [(text, list(_passages(text, settings))) for text in self._collection.documents]
        texts = [chunk.text for _, chunks in cut for chunk in chunks]
        made = await vectors_of(texts, self._embedder, vectors, say)
        say(f"Storing {len(texts):,} passages …")
        owner = await asyncpg.connect(self._url, command_timeout=3600)
        await register_vector(owner)
        try:
            async with owner.transaction():
                await self._store(owner, cut)
                hashes = dict(zip(map(_hash, texts), made, strict=True))
                await owner.copy_records_to_table(
                    "embeddings",
                    columns=["tenant_id", "model_id", "text_hash", "vector", "bought_for", "indexed"],
                    records=[
                        (self._me.tenant_id, self._model_id, text_hash, HalfVector(vector), self._me.tenant_id, True)
                        for text_hash, vector in hashes.items()
                    ],
                )
            await owner.execute("VACUUM ANALYZE")
        finally:
            await owner.close()
        self.passages = len(texts)

    async def _store(
        self, owner: "asyncpg.Connection[asyncpg.Record]", cut: Sequence[tuple[Text, Sequence[Chunk]]]
    ) -> None:
        tenant, blob = self._me.tenant_id, new_id()
        ids = [new_id() for _ in cut]
        self._names = {found: text.id for found, (text, _) in zip(ids, cut, strict=True)}
        await owner.execute("INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, 'bench', 0)", blob, tenant)
        await owner.executemany(
            "INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language, title,"
            " chunks) VALUES ($1, $2, $3, $4, $5, 'text/markdown', 0, 'bench', $6, $7, $8)",
            [
                (found, tenant, self._me.user_id, blob, f"{text.id}.md", LANGUAGE, text.title or None, len(chunks))
                for found, (text, chunks) in zip(ids, cut, strict=True)
            ],
        )
        await owner.executemany(
            "INSERT INTO chunks (id, tenant_id, document_id, ordinal, text, text_hash, first_page, last_page,"
            " start_offset, end_offset, tokens, heading, language)"
            " VALUES ($1, $2, $3, $4, $5, $6, 1, 1, $7, $8, $9, $10, $11::text::regconfig)",
            [
                (new_id(), tenant, found, *_columns(chunk), LANGUAGE)
                for found, (_, chunks) in zip(ids, cut, strict=True)
                for chunk in chunks
            ],
        )


@asynccontextmanager
async def open_library(
    folder: Path, collection: Collection, settings: Settings, embedder: Embedder
) -> AsyncIterator[Library]:
    """With a Postgres in the folder for as long as it is open, set up like that of `arqueduct up`; still empty."""
    postgres = EmbeddedPostgres(folder / "postgres")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, remove, postgres.folder)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        await to_the_end(postgres.start)
        await bring_up_schema(postgres.url(), settings)
        await let_roles_log_in(postgres)
        me = await identity.create(postgres.url(), tenant="bench", email="bench@localhost")
        database = Database(postgres.url(Role.APP), Role.APP, pool_size=2)
        stack.push_async_callback(database.aclose)
        async with database.transaction() as transaction:
            model_id = await transaction.driver.fetchval(
                "SELECT id FROM embedding_models WHERE name = $1", embedder.model.name
            )
        yield Library(postgres.url(), database, me, model_id, embedder, collection)


def _passages(text: Text, settings: Settings) -> Iterator[Chunk]:
    """As of a Markdown file whose first line is the title. By its name: the core does not import the worker."""
    cutter = importlib.import_module("arqueduct_worker.parsing.chunking")
    whole = f"# {text.title}\n\n{text.text}" if text.title else text.text
    page = Page(number=1, text=whole.replace("\0", ""))
    chunks: Iterator[Chunk] = cutter.chunks([page], settings.chunk_chars, settings.chunk_overlap)
    return chunks


def _columns(chunk: Chunk) -> Sequence[object]:
    return (
        chunk.ordinal,
        chunk.text,
        _hash(chunk.text),
        chunk.start,
        chunk.end,
        chunk.tokens,
        chunk.heading,
    )


def _hash(text: str) -> bytes:
    return sha256(text.encode()).digest()
