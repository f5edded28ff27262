"""Bytes of uploads on their way into the storage: there before the row that promises them, gone if no row does."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from arqueduct import models
from arqueduct.errors import ArqueductError, OriginalAway
from arqueduct.storage.layout import blob_key, blob_prefix
from arqueduct_backend.state import State

__all__ = ["storing"]

log = structlog.get_logger()

Result = TypeVar("Result")
Commit = Callable[[UUID | None], Awaitable[tuple[models.Blob, Result]]]
"""One transaction that calls `documents.add_blob` with the id as `brought_to`; returns what that returned."""


async def storing(services: State, blob: models.Blob, path: Path, commit: Commit[Result]) -> Result:
    """Stores the bytes of a new blob and commits. Bytes that the tenant has hot already are not kept twice; those it
    has cold, or had until a policy removed them, become hot again by this upload.

    Whatever fails, no file stays that no row names, as far as storage and Postgres answer.
    """
    brought_to: UUID | None = None
    kept: models.Blob | None = None
    try:
        await services.storage.put_file(blob_key(blob.tenant_id, blob.id), path)
        try:
            kept, result = await commit(None)
        except OriginalAway as away:
            brought_to = away.details["blob_id"]
            await services.storage.put_file(blob_key(blob.tenant_id, brought_to, blob.id), path)
            kept, result = await commit(brought_to)
    except BaseException:
        await _discard(services, blob, brought_to)
        raise
    if kept.id != blob.id or brought_to is not None:
        await _discard(services, blob, brought_to)
    return result


async def _discard(services: State, blob: models.Blob, brought_to: UUID | None) -> None:
    """Removes bytes that no row names. Where Postgres cannot say so, they stay: a commit may have come through."""
    try:
        async with services.database.transaction(blob.tenant_id) as transaction:
            named = await transaction.driver.fetchrow(
                "SELECT coalesce(bool_or(id = $1), false) AS blob, coalesce(bool_or(copy = $1), false) AS copy "
                "FROM blobs WHERE id = ANY ($2)",
                blob.id,
                [blob.id, brought_to] if brought_to else [blob.id],
            )
        if named is not None and not named["blob"]:
            await services.storage.delete_prefix(blob_prefix(blob.tenant_id, blob.id))
        if named is not None and brought_to and not named["copy"]:
            await services.storage.delete([blob_key(blob.tenant_id, brought_to, blob.id)])
    except ArqueductError as error:
        log.warning("blob may be left behind", blob=str(blob.id), error=str(error))
