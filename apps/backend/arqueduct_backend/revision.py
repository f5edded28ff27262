"""Changing what is said of a document, if it is still what the client has seen."""

from typing import Any
from uuid import UUID

from arqueduct import storable
from arqueduct.database import Transaction
from arqueduct.errors import NotFound
from arqueduct.repositories import documents, statements
from arqueduct.repositories.documents import Listed
from arqueduct_backend.access import Acting
from arqueduct_backend.document_patch import DocumentPatch
from arqueduct_backend.etags import check, etag_of
from arqueduct_backend.filenames import shown

__all__ = ["locked", "revise", "tag_of"]


def tag_of(listed: Listed) -> str:
    """Of all that is shown of a document; the state of its job is a part of that."""
    document, job = listed.document, listed.job
    of_job = (job.id, job.state, job.error) if job else ()
    return etag_of(document.id, document.updated_at, *of_job)


async def locked(transaction: Transaction, document_id: UUID, if_match: str | None) -> Listed:
    """The document, which nobody changes until the transaction ends. Raises `NotFound`, `PreconditionFailed`."""
    found = await documents.find(transaction, document_id, locked=True)
    if found is None:
        raise NotFound
    check(tag_of(found), if_match)
    return found


async def revise(
    transaction: Transaction, acting: Acting, document_id: UUID, changes: DocumentPatch, if_match: str | None
) -> Listed:
    """The document as it is then. The audit log gets the names of what was changed, not what it says."""
    found = await locked(transaction, document_id, if_match)
    await statements.revise(transaction, found.document, _columns(changes))
    await acting.note(transaction, after={"document_id": str(document_id), "changed": sorted(changes.model_fields_set)})
    return found


def _columns(changes: DocumentPatch) -> dict[str, Any]:
    """By the name of the column; what was not sent is not there."""
    named: dict[str, Any] = {
        "name": shown(changes.name),
        "title": storable.text(changes.title or "").strip() or None,
        "facts": changes.metadata,
    }
    sent = {"facts" if name == "metadata" else name for name in changes.model_fields_set}
    return {name: value for name, value in named.items() if name in sent}
