"""Archiving and restoring a document: its row at once, its bytes by a job."""

from uuid import UUID

import structlog
from starlette.responses import Response

from arqueduct.errors import NotFound
from arqueduct.repositories import archive, documents
from arqueduct.repositories.originals import ARCHIVE
from arqueduct_backend.access import Acting
from arqueduct_backend.errands import check_quota, queue
from arqueduct_backend.schemas import Job
from arqueduct_backend.state import State

__all__ = ["move"]

log = structlog.get_logger()


async def move(services: State, acting: Acting, document_id: UUID, kind: str, response: Response) -> Job:
    """The queued job. Raises `NotFound`, `DocumentBusy` and `QuotaExceeded`.

    One that is archived already may be archived again: its job then does what an earlier one was kept from.
    """
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await check_quota(transaction, acting)
        found = await documents.find(transaction, document_id, locked=True)
        if found is None:
            raise NotFound
        await archive.check_idle(transaction.driver, document_id, moving_too=True)
        if kind == ARCHIVE:
            await archive.hide(transaction.driver, document_id)
        job, answer, created = await queue(services, transaction, acting, response, kind, document=found.document)
        await acting.note(transaction, after={"document_id": str(document_id), "job_id": str(job.id)})
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch(created)
    log.info("document on the move", document=str(document_id), job=str(job.id), kind=kind)
    return answer
