"""File sets: documents that belong together, with an answer for every file that is sent."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from arqueduct import models
from arqueduct.errors import (
    DependencyUnavailable,
    FileSetArchived,
    FileSetBusy,
    InvalidCursor,
    InvalidRequest,
    MissingFile,
    NotAuthenticated,
    NotFound,
    PathTaken,
    PathTooLong,
    QuotaExceeded,
    SlowBody,
    TooManyDocuments,
    TooManyFiles,
    UploadTooLarge,
)
from arqueduct.ids import new_id
from arqueduct.permissions import Permission
from arqueduct.repositories import file_sets, statements
from arqueduct.repositories.originals import ARCHIVE, RESTORE
from arqueduct.settings import Settings
from arqueduct_backend import cursors
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.archiving import MOVED, move_set
from arqueduct_backend.batch_schemas import BatchAccepted
from arqueduct_backend.budgets import Budget, budget
from arqueduct_backend.deletion import delete_set
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, check, is_known, not_modified
from arqueduct_backend.filenames import relative
from arqueduct_backend.idempotency import HEADER, claim_form, once
from arqueduct_backend.judging import looked_at
from arqueduct_backend.multipart import Shape
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.schemas import DocumentStatus, Page
from arqueduct_backend.set_filling import add_documents, fill, make, tag_of
from arqueduct_backend.set_forms import ASKED, FILES, asked_of
from arqueduct_backend.set_schemas import (
    DocumentsAdded,
    DocumentsNamed,
    FileSet,
    FileSetChange,
    FileSetFile,
    FileSetFileChange,
    FileSetFilled,
    FileSetStatistics,
)
from arqueduct_backend.set_statistics import forget, statistics
from arqueduct_backend.uploads import received_all

__all__ = ["router"]

router = APIRouter(
    prefix="/file-sets",
    tags=["file sets"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

READ = [needs(Permission.DOCUMENTS_READ)]
WRITE = [needs(Permission.DOCUMENTS_WRITE)]
UPLOAD = [*WRITE, budget(Budget.UPLOADS), once(has_file=True)]
NO_FILES = "Send them as multipart/form-data in fields named `files`, each with a file name."
OF_UPLOADS = answers(UploadTooLarge, TooManyFiles, MissingFile, SlowBody, QuotaExceeded)
FILLED = {**OF_UPLOADS, **answers(FileSetArchived, NotFound)}
UNMOVED = answers(NotFound, FileSetBusy, QuotaExceeded, TooManyDocuments)


def _shape(settings: Settings, *, keeps_fields: bool = False) -> Shape:
    return Shape(
        field="files",
        files=settings.max_files_per_request,
        file_bytes=settings.max_upload_bytes,
        total_bytes=settings.max_request_bytes,
        keeps_fields=keeps_fields,
    )


@router.post(
    "",
    dependencies=UPLOAD,
    status_code=201,
    response_model=FileSetFilled,
    responses=OF_UPLOADS,
    openapi_extra=ASKED,
)
async def create_file_set(request: Request, response: Response, services: Services, acting: Acts) -> FileSetFilled:
    """Makes a set out of a form (multipart/form-data): `name`, `description`, `metadata` (a JSON object), and any
    number of parts `files`, none too.

    The file name of a part may be a path such as `2026/march/lease.pdf`: it is kept as the file's path in the set, and
    its last step is the name of the document. Every file gets an answer of its own, and one that is refused (too large,
    empty, of no known type, or there already) hinders no other. Nothing is processed yet: documents are `uploaded`.
    """
    async with received_all(request, services.settings, _shape(services.settings, keeps_fields=True)) as body:
        asked = asked_of(body.fields)
        await claim_form(request, fields=body.fields, files=[(file.sha256, file.name) for file in body.files])
        candidates = await looked_at(body.files, most=services.settings.max_upload_bytes)
        caller = acting.identity
        file_set = models.FileSet(
            id=new_id(),
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            name=asked.name,
            description=asked.description,
            facts=asked.metadata,
        )
        return await make(services, acting, file_set, candidates, response)


@router.get("", dependencies=READ, response_model=Page[FileSet], responses=answers(InvalidCursor))
async def list_file_sets(transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None) -> Page[FileSet]:
    """The newest first."""
    before = cursors.id_of("file sets", cursor)
    found = await file_sets.page(transaction, limit=limit + 1, before=before)
    return page_of(found, limit, FileSet.of, lambda last: cursors.of("file sets", last.id))


@router.get("/{file_set_id}", dependencies=READ, response_model=FileSet, responses=NOT_MODIFIED)
async def get_file_set(
    file_set_id: UUID, transaction: TenantTransaction, response: Response, if_none_match: IfNoneMatch = None
) -> Any:
    """The set itself; its files and its statistics have addresses of their own."""
    found = await file_sets.find(transaction, file_set_id)
    tag = tag_of(found)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    response.headers["ETag"] = tag
    return FileSet.of(found)


@router.patch("/{file_set_id}", dependencies=WRITE, response_model=FileSet)
async def change_file_set(
    file_set_id: UUID,
    changes: FileSetChange,
    transaction: TenantTransaction,
    acting: Acts,
    response: Response,
    if_match: IfMatch = None,
) -> FileSet:
    """Changes name, description or metadata."""
    found = await file_sets.find(transaction, file_set_id, locked=True)
    check(tag_of(found), if_match)
    await statements.revise(transaction, found, _columns(changes))
    changed = sorted(changes.model_fields_set)
    await acting.note(transaction, after={"file_set_id": str(file_set_id), "changed": changed})
    response.headers["ETag"] = tag_of(found)
    return FileSet.of(found)


@router.delete("/{file_set_id}", dependencies=WRITE, status_code=204)
async def delete_file_set(
    file_set_id: UUID,
    services: Services,
    acting: Acts,
    documents: Annotated[
        bool, Query(description="Also its documents, as far as they are in no other set; they are kept otherwise.")
    ] = False,
) -> Response:
    """Removes the set. Should it fail half-way with `documents=true`, send it again: the set goes last."""
    await delete_set(services, acting, file_set_id, with_documents=documents)
    return Response(status_code=204)


@router.post(
    "/{file_set_id}/files", dependencies=UPLOAD, response_model=FileSetFilled, responses=FILLED, openapi_extra=FILES
)
async def upload_to_file_set(
    file_set_id: UUID, request: Request, response: Response, services: Services, acting: Acts
) -> FileSetFilled:
    """Takes more files into a set, as with making one (multipart/form-data, fields `files`)."""
    if HEADER not in request.headers:  # with one it may have been answered when the set was still open
        async with services.database.transaction(acting.identity.tenant_id) as transaction:
            file_sets.check_open(await file_sets.find(transaction, file_set_id))  # before a body is read for nothing
    async with received_all(request, services.settings, _shape(services.settings)) as body:
        if not body.files:
            raise MissingFile("The multipart body has no part named `files` with a file name.", advice=NO_FILES)
        await claim_form(request, fields={}, files=[(file.sha256, file.name) for file in body.files])
        candidates = await looked_at(body.files, most=services.settings.max_upload_bytes)
        return await fill(services, acting, file_set_id, candidates, response)


@router.get(
    "/{file_set_id}/files", dependencies=READ, response_model=Page[FileSetFile], responses=answers(InvalidCursor)
)
async def list_file_set_files(
    file_set_id: UUID,
    transaction: TenantTransaction,
    status: DocumentStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[FileSetFile]:
    """In the order in which the documents were uploaded."""
    after = cursors.id_of("file set files", cursor)
    await file_sets.find(transaction, file_set_id)
    found = await file_sets.page_of_files(
        transaction, file_set_id, limit=limit + 1, after=after, status=None if status is None else str(status)
    )
    return page_of(found, limit, FileSetFile.of, lambda last: cursors.of("file set files", last.file.document_id))


@router.patch(
    "/{file_set_id}/files/{document_id}",
    dependencies=WRITE,
    response_model=FileSetFile,
    responses=answers(PathTaken, PathTooLong),
)
async def change_file_set_file(
    file_set_id: UUID, document_id: UUID, change: FileSetFileChange, transaction: TenantTransaction, acting: Acts
) -> FileSetFile:
    """Moves a file within its set. The document keeps its name."""
    await file_sets.find(transaction, file_set_id, locked=True)
    await file_sets.change_path(transaction, file_set_id, document_id, relative(change.path))
    await acting.note(transaction, after={"file_set_id": str(file_set_id), "document_id": str(document_id)})
    return FileSetFile.of(await file_sets.entry(transaction, file_set_id, document_id))


@router.delete("/{file_set_id}/files/{document_id}", dependencies=WRITE, status_code=204)
async def remove_file_set_file(file_set_id: UUID, document_id: UUID, services: Services, acting: Acts) -> Response:
    """Takes a document out of the set. The document stays."""
    tenant_id = acting.identity.tenant_id
    async with services.database.transaction(tenant_id) as transaction:
        await file_sets.remove(transaction, file_set_id, document_id)
        await acting.note(transaction, before={"file_set_id": str(file_set_id), "document_id": str(document_id)})
    await forget(services, tenant_id, [file_set_id])
    return Response(status_code=204)


@router.post(
    "/{file_set_id}/documents",
    dependencies=WRITE,
    response_model=DocumentsAdded,
    responses=answers(TooManyFiles, FileSetArchived),
)
async def add_documents_to_file_set(
    file_set_id: UUID, named: DocumentsNamed, services: Services, acting: Acts
) -> DocumentsAdded:
    """Puts documents that are there already into the set, each under its name; an answer for each."""
    return await add_documents(services, acting, file_set_id, named.document_ids)


@router.post("/{file_set_id}/archive", **MOVED, responses=UNMOVED)
async def archive_file_set(file_set_id: UUID, services: Services, acting: Acts, response: Response) -> BatchAccepted:
    """Puts it away with its documents, by a batch; those that are in another set that is not archived stay."""
    return await move_set(services, acting, file_set_id, ARCHIVE, response)


@router.post("/{file_set_id}/restore", **MOVED, responses=UNMOVED)
async def restore_file_set(file_set_id: UUID, services: Services, acting: Acts, response: Response) -> BatchAccepted:
    """Brings it back with all its documents, by a batch."""
    return await move_set(services, acting, file_set_id, RESTORE, response)


@router.get("/{file_set_id}/statistics", dependencies=READ, response_model=FileSetStatistics)
async def get_file_set_statistics(file_set_id: UUID, services: Services, caller: Caller) -> Response:
    """Files, bytes, pages, chunks and tokens: in all, by type and by status.

    Files that come or go are counted at once; what jobs do meanwhile, after two seconds at most.
    """
    return Response(await statistics(services, caller.tenant_id, file_set_id), media_type="application/json")


def _columns(changes: FileSetChange) -> dict[str, Any]:
    """By the name of the column; what was not sent is not there."""
    sent = changes.model_dump(exclude_unset=True)
    return {"facts" if name == "metadata" else name: value for name, value in sent.items()}
