"""Taking a document in: its bytes to the storage, its rows in one transaction, then the wake-up."""

import asyncpg
import structlog
from starlette.responses import Response
from structlog.contextvars import bind_contextvars

from arqueduct import metrics, models
from arqueduct.formats import Format
from arqueduct.identity import Identity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Priority
from arqueduct.repositories import jobs, quotas
from arqueduct.repositories.children import INGEST
from arqueduct.repositories.documents import Listed
from arqueduct_backend.access import Acting
from arqueduct_backend.errands import point_to
from arqueduct_backend.keeping import Keeping, storing
from arqueduct_backend.schemas import Accepted, Document, Job
from arqueduct_backend.state import State
from arqueduct_backend.uploads import Upload
from arqueduct_backend.workforce import workforce_of

__all__ = ["document_of", "take_in"]

log = structlog.get_logger()


async def take_in(
    services: State, acting: Acting, upload: Upload, format: Format, priority: Priority, response: Response
) -> Accepted:
    """The new document with its queued job; `response` gets its headers.

    Raises `DependencyUnavailable`, `QuotaExceeded`, and `IdempotencyInFlight` if the same upload came again; then
    nothing of it stays.
    """
    caller = acting.identity

    async def commit(bytes_of: Keeping) -> tuple[Accepted, list[asyncpg.Record]]:
        async with services.database.transaction(caller.tenant_id) as transaction:
            await quotas.check(
                transaction,
                tenant_id=caller.tenant_id,
                user_id=caller.user_id,
                documents=1,
                bytes=upload.size,
                jobs=1,
            )
            blobs = await bytes_of.keep(transaction, [upload])
            document = document_of(services, caller, upload, format, blobs[upload.sha256])
            job = _job_of(services, document, priority)
            document.job_id = job.id
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
            point_to(job.id, response)
            await acting.keep(transaction, accepted, response)
        return accepted, created

    accepted, created = await storing(services, caller.tenant_id, [upload], commit)
    await services.dispatcher.dispatch(created)
    bind_contextvars(document=str(accepted.document.id), job=str(accepted.job.id))
    metrics.uploads.inc(upload.size)
    log.info("document accepted", format=format, size=upload.size)
    return accepted


def document_of(
    services: State, caller: Identity, upload: Upload, format: Format, blob: models.Blob
) -> models.Document:
    """Its row, without a job."""
    return models.Document(
        id=new_id(),
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        blob_id=blob.id,
        name=upload.name,
        content_type=format,
        size=upload.size,
        sha256=upload.sha256,
        language=services.settings.search_language,
    )


def _job_of(services: State, document: models.Document, priority: Priority) -> models.Job:
    return models.Job(
        id=new_id(),
        tenant_id=document.tenant_id,
        user_id=document.user_id,
        kind=INGEST,
        document_id=document.id,
        document_name=document.name,
        max_failures=services.settings.max_failures,
        priority=priority,
    )
