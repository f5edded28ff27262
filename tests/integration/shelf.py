"""Passages put straight into the tables: what search sees, without an ingest."""

import hashlib
from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.settings import Settings

A_DOCUMENT = 100


class Shelf:
    """What one tenant has, and what it finds."""

    def __init__(self, settings: Settings, database: Database, me: NewIdentity) -> None:
        assert settings.database_url is not None
        self._url = settings.database_url.get_secret_value()
        self._database = database
        self._me = me

    async def put(self, texts: Iterable[str], *, state: str = "") -> list[UUID]:
        """The documents that the texts, a passage each, went into. `state`: a column of theirs that is set to now."""
        owner = await asyncpg.connect(self._url)
        rows, documents = list(texts), []
        tenant, blob = self._me.tenant_id, new_id()
        await owner.execute(
            "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, $3, 1)", blob, tenant, blob.hex
        )
        for begin in range(0, len(rows), A_DOCUMENT):
            part = rows[begin : begin + A_DOCUMENT]
            documents.append(new_id())
            await owner.execute(
                "INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language,"
                " chunks) VALUES ($1, $2, $3, $4, 'a book', 'text/plain', 1, 'x', 'english', $5)",
                *(documents[-1], tenant, self._me.user_id, blob, len(part)),
            )
            await owner.executemany(
                "INSERT INTO chunks (id, tenant_id, document_id, ordinal, text, text_hash, first_page, last_page,"
                " start_offset, end_offset, tokens, language)"
                " VALUES ($1, $2, $3, $4, $5, $6, 1, 1, 0, 1, 1, 'english')",
                [
                    (new_id(), tenant, documents[-1], place, text, hashlib.sha256(text.encode()).digest())
                    for place, text in enumerate(part)
                ],
            )
        if state:
            await owner.execute(f"UPDATE documents SET {state} = now() WHERE id = ANY ($1)", documents)
        await owner.execute("ANALYZE chunks, documents")
        await owner.close()
        return documents

    async def find(self, query: str, most: int = 10, only: Sequence[UUID] | None = None) -> list[str]:
        """Texts, best first."""
        return [text for text, _ in await self.ranked(query, most, only)]

    async def ranked(self, query: str, most: int = 10, only: Sequence[UUID] | None = None) -> list[tuple[str, float]]:
        """Texts with their scores, best first."""
        async with self._database.transaction(self._me.tenant_id) as transaction:
            rows = await transaction.driver.fetch(
                "SELECT c.text, s.rank FROM search_text('english', $1, $2, $3) s JOIN chunks c ON c.id = s.chunk_id"
                " ORDER BY s.rank DESC, c.id",
                *(query, most, None if only is None else list(only)),
            )
        return [(row["text"], row["rank"]) for row in rows]
