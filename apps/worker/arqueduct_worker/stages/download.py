"""Brings the document's bytes from storage to this machine, and checks that they are the ones uploaded."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from arqueduct.database import Transaction
from arqueduct.errors import ContentMismatch
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import originals
from arqueduct.storage.layout import blob_key

__all__ = ["Download"]


class Download(Stage):
    """Counts bytes. Raises `DocumentArchived` and `OriginalRemoved` for bytes that were put away or removed."""

    name = "download"
    label = "downloading"
    weight = 0.15
    about = "Brings the file to the worker."

    async def run(self, context: StageContext) -> None:
        subject = context.subject
        rows = await context.shared.ask(_originals, subject.tenant_id, subject.document_id)
        original = originals.readable_of(rows, subject.document_id)
        sha256 = await context.storage.get_file(
            blob_key(original.tenant_id, original.id, original.copy),
            context.source_path,
            lambda done: context.progress(done, subject.size, "bytes"),
        )
        if sha256 != subject.sha256:
            raise ContentMismatch


async def _originals(transaction: Transaction, document_ids: Sequence[UUID]) -> list[dict[UUID, asyncpg.Record]]:
    rows = await originals.rows_of(transaction.driver, document_ids)
    return [rows for _ in document_ids]
