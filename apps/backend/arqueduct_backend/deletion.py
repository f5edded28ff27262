"""Deleting a document: gone for every reader at once, its parts right after; what fails then the sweeper repeats."""

from uuid import UUID

import structlog

from arqueduct.errors import NotFound
from arqueduct.identity import Identity
from arqueduct.lifecycle import Action
from arqueduct.repositories import documents, steering
from arqueduct.storage.layout import everywhere
from arqueduct_backend.access import Acting
from arqueduct_backend.revision import locked
from arqueduct_backend.state import State

__all__ = ["delete"]

log = structlog.get_logger()

LOCK_SECONDS = 1
"""How long a request waits for somebody who is just storing; after that the sweeper does the rest."""


async def delete(services: State, acting: Acting, document_id: UUID, if_match: str | None = None) -> None:
    """Raises `NotFound`, `PreconditionFailed`, and `DependencyUnavailable` as long as nothing was changed."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        # Documents before jobs, as everywhere: a completing attempt holds its document while it still reports.
        if if_match is not None:
            await locked(transaction, document_id, if_match)
        if not await documents.mark_deleted(transaction, document_id):
            raise NotFound
        cancelled = await steering.cancel_of_document(transaction.driver, document_id)
        await acting.note(
            transaction, before={"document_id": str(document_id), "job_ids": [str(row["id"]) for row in cancelled]}
        )
    await services.dispatcher.announce(cancelled)
    await services.dispatcher.tell(Action.CANCEL, [row["id"] for row in cancelled])
    try:
        await _purge(services, caller, document_id)
    except Exception:
        log.warning("document not purged yet; the sweeper will", document=str(document_id), exc_info=True)
    else:
        log.info("document deleted", document=str(document_id), jobs_cancelled=len(cancelled))


async def _purge(services: State, caller: Identity, document_id: UUID) -> None:
    async with services.database.transaction(caller.tenant_id) as transaction:
        prefix = await documents.purge(transaction, document_id, patience=LOCK_SECONDS)
    if prefix is not None:
        for place in everywhere(prefix):
            await services.storage.delete_prefix(place)
