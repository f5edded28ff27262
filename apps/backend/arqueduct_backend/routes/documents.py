"""Documents: uploading, listing, reading, deleting."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from arqueduct import formats
from arqueduct.errors import (
    DependencyUnavailable,
    DocumentArchived,
    DocumentBusy,
    DocumentNotReady,
    EmptyUpload,
    InvalidCursor,
    InvalidRequest,
    MissingFile,
    NotAuthenticated,
    NotFound,
    OriginalRemoved,
    QuotaExceeded,
    RangeNotSatisfiable,
    SlowBody,
    UnsupportedFormat,
    UploadTooLarge,
)
from arqueduct.formats import Format
from arqueduct.lifecycle import Priority
from arqueduct.permissions import Permission
from arqueduct.repositories import documents, lists, originals
from arqueduct.repositories.originals import ARCHIVE, RESTORE
from arqueduct.storage.layout import blob_key
from arqueduct_backend import content, cursors, schemas
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.budgets import Budget, budget
from arqueduct_backend.deletion import delete
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.document_patch import DocumentPatch
from arqueduct_backend.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, is_known, not_modified
from arqueduct_backend.idempotency import claim_file, once
from arqueduct_backend.intake import take_in
from arqueduct_backend.moving import move
from arqueduct_backend.pages import Cursor, Limit, Sort, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.revision import revise, tag_of
from arqueduct_backend.uploads import received

__all__ = ["router"]

router = APIRouter(
    prefix="/documents",
    tags=["documents"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

Archived = Annotated[
    bool | None,
    Query(description="Only documents that are archived, or only those that are not; left out, both.", examples=[True]),
]

BYTES = {str(kind): {"schema": {"type": "string", "format": "binary"}} for kind in Format}
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary", "minLength": 1}},
                }
            }
        },
    }
}


@router.post(
    "",
    dependencies=[needs(Permission.DOCUMENTS_WRITE), budget(Budget.UPLOADS), once(has_file=True)],
    status_code=202,
    response_model=schemas.Accepted,
    responses=answers(QuotaExceeded, UploadTooLarge, UnsupportedFormat, EmptyUpload, MissingFile, SlowBody),
    openapi_extra=UPLOAD_BODY,
)
async def create_document(
    request: Request,
    response: Response,
    services: Services,
    acting: Acts,
    priority: schemas.PriorityName = "normal",
) -> schemas.Accepted:
    """Takes a file in (multipart/form-data, field `file`) and queues the job that processes it.

    `priority` says which of the tenant's own jobs goes first; it takes nothing from other tenants.

    The answer comes as soon as the file is stored; follow the job at `Location` or over the WebSocket.
    """
    async with received(request, services.settings) as upload:
        await claim_file(request, name=upload.name, sha256=upload.sha256)
        kind = await asyncio.to_thread(formats.detect, upload.path, upload.name)
        return await take_in(services, acting, upload, kind, Priority[priority.upper()], response)


@router.get(
    "",
    dependencies=[needs(Permission.DOCUMENTS_READ)],
    response_model=schemas.Page[schemas.Document],
    responses=answers(InvalidCursor),
)
async def list_documents(
    transaction: TenantTransaction,
    archived: Archived = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sort = "-created_at",  # noqa: ARG001  # refuses every other order
) -> schemas.Page[schemas.Document]:
    """The newest first."""
    before = cursors.id_of("documents", cursor)
    found = await documents.page(transaction, limit=limit + 1, before=before, archived=archived)
    return page_of(found, limit, schemas.Document.of, lambda last: cursors.of("documents", last.document.id))


@router.get(
    "/{document_id}",
    dependencies=[needs(Permission.DOCUMENTS_READ)],
    response_model=schemas.Document,
    responses=NOT_MODIFIED,
)
async def get_document(
    document_id: UUID, transaction: TenantTransaction, response: Response, if_none_match: IfNoneMatch = None
) -> Any:
    """One document; `status` is the state of its job."""
    found = await documents.find(transaction, document_id)
    if found is None:
        raise NotFound
    tag = tag_of(found)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    response.headers["ETag"] = tag
    return schemas.Document.of(found)


@router.patch("/{document_id}", dependencies=[needs(Permission.DOCUMENTS_WRITE)], response_model=schemas.Document)
async def update_document(
    document_id: UUID,
    changes: DocumentPatch,
    transaction: TenantTransaction,
    acting: Acts,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.Document:
    """Changes name, title or metadata. What is read out of the document later does not undo it."""
    changed = await revise(transaction, acting, document_id, changes, if_match)
    response.headers["ETag"] = tag_of(changed)
    return schemas.Document.of(changed)


@router.delete("/{document_id}", dependencies=[needs(Permission.DOCUMENTS_WRITE)], status_code=204)
async def delete_document(document_id: UUID, services: Services, acting: Acts, if_match: IfMatch = None) -> Response:
    """Cancels what is still being done, and removes the document with its passages, vectors, text and bytes."""
    await delete(services, acting, document_id, if_match)
    return Response(status_code=204)


@router.get(
    "/{document_id}/content",
    dependencies=[needs(Permission.DOCUMENTS_READ)],
    response_class=Response,
    responses={
        200: {"description": "The bytes.", "content": BYTES},
        206: {"description": "The bytes of one range.", "content": BYTES},
        304: {"description": "`If-None-Match` names these bytes."},
        **answers(NotFound, DocumentArchived, OriginalRemoved, RangeNotSatisfiable),
    },
)
async def get_document_content(document_id: UUID, request: Request, services: Services, caller: Caller) -> Response:
    """The file as it was uploaded. `Range` (one), `If-Range` and `If-None-Match` are honoured."""
    for is_last in (False, True):
        async with services.database.transaction(caller.tenant_id) as transaction:
            found = await documents.find(transaction, document_id)
            if found is None:
                raise NotFound
            original = await originals.readable(transaction.driver, document_id)
        key = blob_key(original.tenant_id, original.id, original.copy)
        try:
            return await content.original(services.storage, found.document, key, request.headers)
        except NotFound:
            if is_last:  # it was not moved between the two steps: it is lost
                raise
    raise AssertionError  # the loop returns or raises


@router.get(
    "/{document_id}/text",
    dependencies=[needs(Permission.DOCUMENTS_READ)],
    response_class=Response,
    responses={
        200: {"description": "UTF-8.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **answers(NotFound, DocumentNotReady),
    },
)
async def get_document_text(document_id: UUID, services: Services, caller: Caller) -> Response:
    """The text that was read out of it: pages joined by an empty line. Offsets of chunks count its characters."""
    async with services.database.transaction(caller.tenant_id) as transaction:
        found = await documents.find(transaction, document_id)
    if found is None:
        raise NotFound
    return await content.text(services.storage, found.document, services.settings.temporary_dir)


@router.get(
    "/{document_id}/chunks",
    dependencies=[needs(Permission.DOCUMENTS_READ)],
    response_model=schemas.Page[schemas.Chunk],
    responses=answers(NotFound, InvalidCursor),
)
async def list_chunks(
    document_id: UUID,
    transaction: TenantTransaction,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> schemas.Page[schemas.Chunk]:
    """The passages in the order of the text; none before the document is stored."""
    after = cursors.number_of("chunks", cursor)
    if await documents.find(transaction, document_id) is None:
        raise NotFound
    found = await lists.chunks_page(transaction, document_id, limit=limit + 1, after=after)
    return page_of(found, limit, schemas.Chunk.of, lambda last: cursors.of("chunks", last["ordinal"]))


MOVED = answers(NotFound, DocumentBusy, QuotaExceeded)


@router.post(
    "/{document_id}/archive",
    dependencies=[needs(Permission.DOCUMENTS_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=MOVED,
)
async def archive_document(document_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Puts a document away: out of search at once; then a job compresses its file and moves it to a cold place.

    Text, passages and vectors stay, so that restoring it takes no model.
    """
    return await move(services, acting, document_id, ARCHIVE, response)


@router.post(
    "/{document_id}/restore",
    dependencies=[needs(Permission.DOCUMENTS_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=MOVED,
)
async def restore_document(document_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Queues the job that brings an archived document back: its file, checked by its checksum, and into search."""
    return await move(services, acting, document_id, RESTORE, response)
