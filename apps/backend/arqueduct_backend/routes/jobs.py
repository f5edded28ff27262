"""Jobs: how far they are, what became of them, and asking them to stop or to begin again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from arqueduct.database import Transaction
from arqueduct.errors import (
    DependencyUnavailable,
    IllegalTransition,
    InvalidCursor,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
)
from arqueduct.lifecycle import Action, JobState, check
from arqueduct.models import Job
from arqueduct.repositories import documents, jobs, lists
from arqueduct_backend import cursors, schemas
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.pages import Cursor, Limit, Sort, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.workforce import workforce_of

__all__ = ["router"]

router = APIRouter(
    prefix="/jobs",
    tags=["jobs"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

Kind = Annotated[str | None, Query(pattern=r"^[a-z0-9._-]{1,100}$", examples=["document.ingest"])]


@router.get("", response_model=schemas.Page[schemas.Job], responses=answers(InvalidCursor))
async def list_jobs(
    services: Services,
    transaction: TenantTransaction,
    state: JobState | None = None,
    kind: Kind = None,
    document_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sort = "-created_at",  # noqa: ARG001  # refuses every other order
) -> schemas.Page[schemas.Job]:
    """The newest first."""
    before = cursors.id_of("jobs", cursor)
    found = await lists.jobs_page(
        transaction, limit=limit + 1, before=before, state=state, kind=kind, document_id=document_id
    )
    workforce = await workforce_of(transaction, services)
    return page_of(found, limit, lambda job: schemas.Job.of(job, workforce), lambda last: cursors.of("jobs", last.id))


@router.get("/{job_id}", response_model=schemas.Job, responses=answers(NotFound))
async def get_job(job_id: UUID, services: Services, transaction: TenantTransaction) -> schemas.Job:
    """One job as it stands; the WebSocket tells every change of it."""
    return schemas.Job.of(await _find(transaction, job_id), await workforce_of(transaction, services))


@router.get(
    "/{job_id}/events", response_model=schemas.Page[schemas.JobEvent], responses=answers(NotFound, InvalidCursor)
)
async def list_job_events(
    job_id: UUID, transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Page[schemas.JobEvent]:
    """Its history, the oldest first: each change of state or stage."""
    after = cursors.number_of("events", cursor)
    await _find(transaction, job_id)
    found = await lists.events_page(transaction, job_id, limit=limit + 1, after=after)
    return page_of(found, limit, schemas.JobEvent.of, lambda last: cursors.of("events", last.seq))


@router.post(
    "/{job_id}/cancel",
    response_model=schemas.Job,
    responses={
        202: {"model": schemas.Job, "description": "It runs; its worker was told to stop."},
        **answers(NotFound, IllegalTransition),
    },
)
async def cancel_job(job_id: UUID, response: Response, services: Services, caller: Caller) -> schemas.Job:
    """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
    async with services.database.transaction(caller.tenant_id) as transaction:
        check(Action.CANCEL, JobState((await _find(transaction, job_id, locked=True)).state))
        ended = await jobs.cancel(transaction.driver, job_id)
        answer = await _read_again(transaction, services, job_id)
    if ended is None:
        response.status_code = 202
        response.headers["Location"] = f"/api/v1/jobs/{job_id}"
        response.headers["Retry-After"] = "1"
        await services.dispatcher.stop([job_id])
    else:
        await services.dispatcher.announce([ended])
    return answer


@router.post(
    "/{job_id}/retry", status_code=202, response_model=schemas.Job, responses=answers(NotFound, IllegalTransition)
)
async def retry_job(job_id: UUID, response: Response, services: Services, caller: Caller) -> schemas.Job:
    """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used."""
    async with services.database.transaction(caller.tenant_id) as transaction:
        job = await _find(transaction, job_id, locked=True)
        check(Action.RETRY, JobState(job.state))
        if job.document_id is not None and await documents.find(transaction, job.document_id) is None:
            raise IllegalTransition("The document of this job was deleted; upload it again.", state=job.state)
        queued = await jobs.retry(transaction.driver, job_id)
        answer = await _read_again(transaction, services, job_id)
    if queued is not None:
        await services.dispatcher.dispatch([queued], tenant_id=caller.tenant_id)
    response.headers["Location"] = f"/api/v1/jobs/{job_id}"
    response.headers["Retry-After"] = "1"
    return answer


async def _find(transaction: Transaction, job_id: UUID, *, locked: bool = False) -> Job:
    """`locked`: nobody else changes it until the transaction ends. Raises `NotFound`."""
    found = await transaction.session.get(Job, job_id, with_for_update=locked)
    if found is None:
        raise NotFound
    return found


async def _read_again(transaction: Transaction, services: Services, job_id: UUID) -> schemas.Job:
    """After statements of the driver, of which the session does not know."""
    transaction.session.expire_all()
    return schemas.Job.of(await _find(transaction, job_id), await workforce_of(transaction, services))
