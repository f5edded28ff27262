"""Putting files into a set: bytes to the storage, then all rows in one transaction, with an answer for each file."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog
from starlette.responses import Response
from structlog.contextvars import bind_contextvars

from arqueduct import metrics, models
from arqueduct.database import Transaction
from arqueduct.errors import NotFound
from arqueduct.identity import Identity
from arqueduct.models import FileSetFile
from arqueduct.repositories import file_sets, quotas
from arqueduct.repositories.file_sets import Taken
from arqueduct_backend.access import Acting
from arqueduct_backend.etags import etag_of
from arqueduct_backend.filenames import relative
from arqueduct_backend.intake import document_of
from arqueduct_backend.judging import Candidate, check_room, judged
from arqueduct_backend.keeping import Keeping, storing
from arqueduct_backend.set_schemas import DocumentsAdded, FileAnswer, FileRefused, FileSet, FileSetFilled
from arqueduct_backend.set_statistics import forget
from arqueduct_backend.state import State
from arqueduct_backend.uploads import Upload

__all__ = ["add_documents", "fill", "make", "tag_of"]

log = structlog.get_logger()

ROWS = 200
"""Files whose rows are made at a time: 20 ms in which nothing else of this process moves."""


def tag_of(file_set: models.FileSet) -> str:
    """Of what is shown of the set itself."""
    return etag_of(file_set.id, file_set.updated_at, file_set.archived_at)


async def make(
    services: State, acting: Acting, file_set: models.FileSet, candidates: Sequence[Candidate], response: Response
) -> FileSetFilled:
    """A new set with those files that are fit. Raises what `fill` raises; then nothing stays."""
    candidates = judged(candidates, Taken())
    check_room(candidates, Taken(), most=services.settings.max_files_per_set)

    async def commit(bytes_of: Keeping) -> FileSetFilled:
        async with services.database.transaction(file_set.tenant_id) as transaction:
            await _check_quota(transaction, acting, candidates)
            blobs = await bytes_of.keep(transaction, _going(candidates))
            transaction.session.add(file_set)
            answer = await _put(services, acting, transaction, file_set, candidates, blobs)
            response.headers["Location"] = f"/api/v1/file-sets/{file_set.id}"
            response.headers["ETag"] = tag_of(file_set)
            await acting.keep(transaction, answer, response)
        return answer

    answer = await storing(services, file_set.tenant_id, _going(candidates), commit)
    _tell(file_set.id, candidates)
    return answer


async def fill(
    services: State, acting: Acting, file_set_id: UUID, candidates: Sequence[Candidate], response: Response
) -> FileSetFilled:
    """The same for a set that is there.

    Raises `NotFound`, `FileSetArchived`, `TooManyFiles`, `QuotaExceeded`, `DependencyUnavailable`, and
    `IdempotencyInFlight` if the same request came again; then nothing of it stays.
    """
    tenant_id, most = acting.identity.tenant_id, services.settings.max_files_per_set
    async with services.database.transaction(tenant_id) as transaction:
        file_sets.check_open(await file_sets.find(transaction, file_set_id))
        taken = await _taken(transaction, file_set_id, candidates)
    looked = judged(candidates, taken)  # what is in the set already need not go to the storage
    check_room(looked, taken, most=most)

    async def commit(bytes_of: Keeping) -> tuple[FileSetFilled, list[Candidate]]:
        async with services.database.transaction(tenant_id) as transaction:
            await _check_quota(transaction, acting, [])  # a place in the line, before anything is locked
            file_set = await file_sets.find(transaction, file_set_id, locked=True)
            file_sets.check_open(file_set)
            taken = await _taken(transaction, file_set_id, looked)
            again = judged(looked, taken)
            check_room(again, taken, most=most)
            await _check_quota(transaction, acting, again)
            blobs = await bytes_of.keep(transaction, _going(again))
            answer = await _put(services, acting, transaction, file_set, again, blobs)
            await acting.keep(transaction, answer, response)
        return answer, again

    answer, candidates = await storing(services, tenant_id, _going(looked), commit)
    await forget(services, tenant_id, [file_set_id])
    _tell(file_set_id, candidates)
    return answer


async def add_documents(
    services: State, acting: Acting, file_set_id: UUID, document_ids: Sequence[UUID]
) -> DocumentsAdded:
    """Puts documents into a set that are there already, under their names.

    Raises `NotFound`, `FileSetArchived`, `TooManyFiles`.
    """
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        file_sets.check_open(await file_sets.find(transaction, file_set_id, locked=True))
        known = await file_sets.lock_documents(transaction, document_ids)
        named = [_named(document_id, known.get(document_id)) for document_id in document_ids]
        taken = await _taken(transaction, file_set_id, named)
        candidates = judged(named, taken)
        check_room(candidates, taken, most=services.settings.max_files_per_set)
        pairs = list(zip(document_ids, candidates, strict=True))
        accepted = [document_id for document_id, candidate in pairs if candidate.error is None]
        transaction.session.add_all(
            _file(acting.identity, file_set_id, document_id, candidate)
            for document_id, candidate in pairs
            if candidate.error is None
        )
        await transaction.session.flush()
        told = {"file_set_id": str(file_set_id), "document_ids": list(map(str, accepted))}
        await acting.note(transaction, after=told)
    await forget(services, acting.identity.tenant_id, [file_set_id])
    return DocumentsAdded(
        files=[_answer(candidate, None if candidate.error else document_id) for document_id, candidate in pairs]
    )


async def _put(
    services: State,
    acting: Acting,
    transaction: Transaction,
    file_set: models.FileSet,
    candidates: Sequence[Candidate],
    blobs: Mapping[str, models.Blob],
) -> FileSetFilled:
    ids: list[UUID | None] = []
    for number, candidate in enumerate(candidates):
        if number % ROWS == 0:
            await transaction.session.flush()
        if candidate.error is not None or candidate.upload is None or candidate.kind is None:
            ids.append(None)
            continue
        document = document_of(services, acting.identity, candidate.upload, candidate.kind, blobs[candidate.sha256])
        transaction.session.add_all([document, _file(acting.identity, file_set.id, document.id, candidate)])
        ids.append(document.id)
    await transaction.session.flush()
    await transaction.session.refresh(file_set)
    told = {"file_set_id": str(file_set.id), "documents": sum(found is not None for found in ids), "files": len(ids)}
    await acting.note(transaction, after=told)
    return FileSetFilled.model_validate({**FileSet.fields_of(file_set), "files": list(map(_answer, candidates, ids))})


async def _check_quota(transaction: Transaction, acting: Acting, candidates: Sequence[Candidate]) -> None:
    """Of those that are going in; they have no jobs yet. Raises `QuotaExceeded`."""
    caller, going = acting.identity, _going(candidates)
    await quotas.check(
        transaction,
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        documents=len(going),
        bytes=sum(upload.size for upload in going),
    )


async def _taken(transaction: Transaction, file_set_id: UUID, candidates: Sequence[Candidate]) -> Taken:
    fit = [candidate for candidate in candidates if candidate.error is None]
    return await file_sets.taken(
        transaction,
        file_set_id,
        paths=[candidate.path for candidate in fit if candidate.path is not None],
        hashes=[candidate.sha256 for candidate in fit],
    )


def _going(candidates: Sequence[Candidate]) -> list[Upload]:
    return [found.upload for found in candidates if found.error is None and found.upload is not None]


def _named(document_id: UUID, row: asyncpg.Record | None) -> Candidate:
    if row is None:
        return Candidate(name=str(document_id), path=None, sha256="", error=NotFound())
    path = relative(row["name"])
    return Candidate(name=row["name"], path=path, sha256=row["sha256"])


def _file(caller: Identity, file_set_id: UUID, document_id: UUID, candidate: Candidate) -> FileSetFile:
    assert candidate.path is not None  # noqa: S101  # else it was refused
    return FileSetFile(
        file_set_id=file_set_id, document_id=document_id, tenant_id=caller.tenant_id, path=candidate.path
    )


def _answer(candidate: Candidate, document_id: UUID | None) -> FileAnswer:
    return FileAnswer(
        name=candidate.name,
        path=candidate.path,
        document_id=document_id,
        accepted=candidate.error is None,
        error=None if candidate.error is None else FileRefused.of(candidate.error),
    )


def _tell(file_set_id: UUID, candidates: Sequence[Candidate]) -> None:
    going = _going(candidates)
    size = sum(upload.size for upload in going)
    bind_contextvars(file_set=str(file_set_id))
    metrics.uploads.inc(size)
    log.info("files accepted", files=len(going), refused=len(candidates) - len(going), size=size)
