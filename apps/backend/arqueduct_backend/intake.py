"""Taking a document in: its bytes to the storage, its rows in one transaction, then the wake-up."""

from uuid import UUID

import asyncpg
import structlog
from starlette.responses import Response
from structlog.contextvars import bind_contextvars

from arqueduct import metrics, models
from arqueduct.formats import Format
from arqueduct.identity import Identity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Priority
from arqueduct.repositories import documents, jobs, quotas
from arqueduct.repositories.documents import Listed
from arqueduct_backend.access import Acting
from arqueduct_backend.originals import storing
from arqueduct_backend.schemas import Accepted, Document, Job
from arqueduct_backend.state import State
from arqueduct_backend.uploads import Upload
from arqueduct_backend.workforce import workforce_of

__all__ = ["KIND", "take_in"]

log = structlog.get_logger()

KIND = "document.ingest"


async def take_in(
    services: State, acting: Acting, upload: Upload, format: Format, priority: Priority, response: Response
) -> Accepted:
    """The new document with its queued job; `response` gets its headers.

    Raises `DependencyUnavailable`, `QuotaExceeded`, and `IdempotencyInFlight` if the same upload came again; then
    nothing of it stays.
    """
    caller = acting.identity
    blob = models.Blob(id=new_id(), tenant_id=caller.tenant_id, sha256=upload.sha256, size=upload.size)

    async def commit(brought_to: UUID | None) -> tuple[models.Blob, tuple[Accepted, list[asyncpg.Record]]]:
        async with services.database.transaction(caller.tenant_id) as transaction:
            await quotas.check(
                transaction,
                tenant_id=caller.tenant_id,
                user_id=caller.user_id,
                documents=1,
                bytes=upload.size,
                jobs=1,
            )
            kept = await documents.add_blob(transaction, blob, brought_to=brought_to)
            job, document = _rows(services, caller, upload, format, kept)
            job.priority = priority
            transaction.session.add_all([job, document])
            await transaction.session.flush()
            await acting.note(transaction, after={"document_id": str(document.id), "job_id": str(job.id)})
            created = await jobs.note_created(transaction.driver, [job.id])
            await transaction.session.refresh(document)
            await transaction.session.refresh(job)
            accepted = Accepted(
                document=Document.of(Listed(document=document, job=job)),
                job=Job.of(job, await workforce_of(transaction, services)),
            )
            response.headers["Location"] = f"/api/v1/jobs/{job.id}"
            response.headers["Retry-After"] = "1"
            await acting.keep(transaction, accepted, response)
        return kept, (accepted, created)

    accepted, created = await storing(services, blob, upload.path, commit)
    await services.dispatcher.dispatch(created)
    bind_contextvars(document=str(accepted.document.id), job=str(accepted.job.id))
    metrics.uploads.inc(upload.size)
    log.info("document accepted", format=format, size=upload.size)
    return accepted


def _rows(
    services: State, caller: Identity, upload: Upload, format: Format, blob: models.Blob
) -> tuple[models.Job, models.Document]:
    document_id = new_id()
    job = models.Job(
        id=new_id(),
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        kind=KIND,
        document_id=document_id,
        document_name=upload.name,
        max_failures=services.settings.max_failures,
    )
    document = models.Document(
        id=document_id,
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        blob_id=blob.id,
        job_id=job.id,
        name=upload.name,
        content_type=format,
        size=upload.size,
        sha256=upload.sha256,
        language=services.settings.search_language,
    )
    return job, document
