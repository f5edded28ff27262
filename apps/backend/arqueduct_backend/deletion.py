"""Deleting documents: gone for every reader at once, their parts right after; what fails then the sweeper repeats."""

import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from arqueduct.errors import NotFound
from arqueduct.identity import Identity
from arqueduct.lifecycle import Action
from arqueduct.repositories import documents, file_sets, steering
from arqueduct.storage.layout import everywhere
from arqueduct_backend.access import Acting
from arqueduct_backend.revision import locked
from arqueduct_backend.set_statistics import forget
from arqueduct_backend.state import State

__all__ = ["delete", "delete_set"]

log = structlog.get_logger()

LOCK_SECONDS = 1
"""How long a request waits for somebody who is just storing; after that the sweeper does the rest."""
BATCH = 250
"""Documents hidden in one transaction: some 50 ms, in which nobody else can change them."""
PURGE_SECONDS = 2.0
"""How long the deletion of a set removes parts of its documents, at 5 ms each, before it answers."""


async def delete(services: State, acting: Acting, document_id: UUID, if_match: str | None = None) -> None:
    """Raises `NotFound`, `PreconditionFailed`, and `DependencyUnavailable` as long as nothing was changed."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        # Documents before jobs, as everywhere: a completing attempt holds its document while it still reports.
        if if_match is not None:
            await locked(transaction, document_id, if_match)
        sets = await file_sets.of_document(transaction, document_id)
        if not await documents.mark_deleted(transaction, document_id):
            raise NotFound
        cancelled = await steering.cancel_of_document(transaction.driver, document_id)
        await acting.note(
            transaction, before={"document_id": str(document_id), "job_ids": [str(row["id"]) for row in cancelled]}
        )
    await forget(services, caller.tenant_id, sets)
    await _tell(services, cancelled)
    if await _purged(services, caller, document_id):
        log.info("document deleted", document=str(document_id), jobs_cancelled=len(cancelled))


async def delete_set(services: State, acting: Acting, file_set_id: UUID, *, with_documents: bool) -> None:
    """The set, and `with_documents` those of its documents that are in no other, some in a transaction.

    Raises `NotFound`, and `DependencyUnavailable`: then the set is still there, perhaps with fewer documents.
    """
    hidden = await _hide_documents(services, acting, file_set_id) if with_documents else []
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await file_sets.delete(transaction, file_set_id)
        await acting.note(transaction, before={"file_set_id": str(file_set_id), "documents": len(hidden)})
    await forget(services, acting.identity.tenant_id, [file_set_id])
    until = time.monotonic() + PURGE_SECONDS
    for document_id in hidden:
        if time.monotonic() > until or not await _purged(services, acting.identity, document_id):
            break
    log.info("file set deleted", file_set=str(file_set_id), documents=len(hidden))


async def _hide_documents(services: State, acting: Acting, file_set_id: UUID) -> list[UUID]:
    """Those of a set that are in no other. The audit log gets a line for each batch."""
    hidden: list[UUID] = []
    after: UUID | None = UUID(int=0)
    while after is not None:
        async with services.database.transaction(acting.identity.tenant_id) as transaction:
            await file_sets.find(transaction, file_set_id)
            found, after = await file_sets.lock_only_here(transaction, file_set_id, after=after, limit=BATCH)
            gone = await documents.mark_all_deleted(transaction, found)
            cancelled = await steering.cancel_of_documents(transaction.driver, gone)
            if gone:
                told = {"file_set_id": str(file_set_id), "document_ids": list(map(str, gone))}
                await acting.note(transaction, before=told)
        await _tell(services, cancelled)
        hidden += gone
    return hidden


async def _tell(services: State, cancelled: Sequence[asyncpg.Record]) -> None:
    await services.dispatcher.announce(cancelled)
    await services.dispatcher.tell(Action.CANCEL, [row["id"] for row in cancelled])


async def _purged(services: State, caller: Identity, document_id: UUID) -> bool:
    try:
        await _purge(services, caller, document_id)
    except Exception:
        log.warning("document not purged yet; the sweeper will", document=str(document_id), exc_info=True)
        return False
    return True


async def _purge(services: State, caller: Identity, document_id: UUID) -> None:
    async with services.database.transaction(caller.tenant_id) as transaction:
        prefix = await documents.purge(transaction, document_id, patience=LOCK_SECONDS)
    if prefix is not None:
        for place in everywhere(prefix):
            await services.storage.delete_prefix(place)
