"""Jobs: how far they are, what became of them, and asking them to stop or to begin again."""

from uuid import UUID

from fastapi import APIRouter, Response

from arqueduct.database import Transaction
from arqueduct.errors import (
    DependencyUnavailable,
    DocumentArchived,
    IllegalTransition,
    InvalidCursor,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    OriginalRemoved,
    UpkeepUnderWay,
)
from arqueduct.identity import Identity
from arqueduct.lifecycle import UNFINISHED, Action, JobState, check
from arqueduct.models import Job
from arqueduct.permissions import Permission, check_kinds, withheld
from arqueduct.repositories import file_sets, lists, steering
from arqueduct.repositories.attempts import attempts_of
from arqueduct_backend import cursors, parenting, schemas
from arqueduct_backend.access import Acting, Acts, needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.errands import point_to
from arqueduct_backend.overseeing import JobAttempt, JobAttempts, KindQuery
from arqueduct_backend.pages import Cursor, Limit, Sort, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.queue_eta import of_queued
from arqueduct_backend.retrying import check_job
from arqueduct_backend.state import State
from arqueduct_backend.workforce import workforce_of

__all__ = ["router"]

router = APIRouter(
    prefix="/jobs",
    tags=["jobs"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

TOLD = {"model": schemas.Job, "description": "It runs; its worker was told to stop."}


@router.get(
    "",
    dependencies=[needs(Permission.JOBS_READ)],
    response_model=schemas.Page[schemas.Job],
    responses=answers(InvalidCursor),
)
async def list_jobs(
    services: Services,
    transaction: TenantTransaction,
    caller: Caller,
    state: JobState | None = None,
    kind: KindQuery = None,
    document_id: UUID | None = None,
    parent_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    sort: Sort = "-created_at",  # noqa: ARG001  # refuses every other order
) -> schemas.Page[schemas.Job]:
    """The newest first; of a project or a batch with `parent_id`. The kind `webhook.deliver` needs `webhooks:read`."""
    before = cursors.id_of("jobs", cursor)
    check_kinds(caller.permissions, [kind] if kind else ())
    found = await lists.jobs_page(
        transaction,
        without=withheld(caller.permissions),
        limit=limit + 1,
        before=before,
        state=state,
        kind=kind,
        document_id=document_id,
        parent_id=parent_id,
    )
    workforce = await workforce_of(transaction, services)
    return page_of(found, limit, lambda job: schemas.Job.of(job, workforce), lambda last: cursors.of("jobs", last.id))


@router.get(
    "/{job_id}", dependencies=[needs(Permission.JOBS_READ)], response_model=schemas.Job, responses=answers(NotFound)
)
async def get_job(job_id: UUID, services: Services, transaction: TenantTransaction, caller: Caller) -> schemas.Job:
    """One job as it stands; the WebSocket tells every change of it."""
    return await _answer(transaction, services, await _find(transaction, caller, job_id))


@router.get(
    "/{job_id}/events",
    dependencies=[needs(Permission.JOBS_READ)],
    response_model=schemas.Page[schemas.JobEvent],
    responses=answers(NotFound, InvalidCursor),
)
async def list_job_events(
    job_id: UUID, transaction: TenantTransaction, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> schemas.Page[schemas.JobEvent]:
    """Its history, the oldest first: each change of state or stage."""
    after = cursors.number_of("events", cursor)
    await _find(transaction, caller, job_id)
    found = await lists.events_page(transaction, job_id, limit=limit + 1, after=after)
    return page_of(found, limit, schemas.JobEvent.of, lambda last: cursors.of("events", last.seq))


@router.get(
    "/{job_id}/attempts",
    dependencies=[needs(Permission.JOBS_READ)],
    response_model=JobAttempts,
    responses=answers(NotFound),
)
async def list_job_attempts(job_id: UUID, transaction: TenantTransaction, caller: Caller) -> JobAttempts:
    """Who ran it and how each attempt ended, the oldest first; of more than a hundred the newest."""
    await _find(transaction, caller, job_id)
    found = await attempts_of(transaction, job_id, inspected=Permission.JOBS_INSPECT in caller.permissions)
    return JobAttempts(items=[JobAttempt.of(row) for row in found])


@router.post(
    "/{job_id}/cancel",
    dependencies=[needs(Permission.JOBS_WRITE)],
    response_model=schemas.Job,
    responses={202: TOLD, **answers(NotFound, IllegalTransition)},
)
async def cancel_job(job_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Ends a waiting job at once (200). A running one is asked to stop, which takes moments (202)."""
    return await _act(Action.CANCEL, job_id, response, services, acting)


@router.post(
    "/{job_id}/pause",
    dependencies=[needs(Permission.JOBS_WRITE)],
    response_model=schemas.Job,
    responses={202: TOLD, **answers(NotFound, IllegalTransition)},
)
async def pause_job(job_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Puts a waiting job aside at once (200). A running one is asked to stop (202); what it has done is kept."""
    return await _act(Action.PAUSE, job_id, response, services, acting)


@router.post(
    "/{job_id}/resume",
    dependencies=[needs(Permission.JOBS_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=answers(NotFound, IllegalTransition),
)
async def resume_job(job_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Puts a paused job back into the queue; it goes on from what is kept."""
    return await _act(Action.RESUME, job_id, response, services, acting)


@router.post(
    "/{job_id}/retry",
    dependencies=[needs(Permission.JOBS_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=answers(NotFound, IllegalTransition, DocumentArchived, OriginalRemoved, UpkeepUnderWay),
)
async def retry_job(job_id: UUID, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Puts a failed or cancelled job back into the queue; what it has paid for already is kept and used.

    Not one whose document was given a newer job since. A run of retention or of the storage needs `upkeep:write`.
    """
    return await _act(Action.RETRY, job_id, response, services, acting)


async def _act(action: Action, job_id: UUID, response: Response, services: State, acting: Acting) -> schemas.Job:
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        found = await _find(transaction, caller, job_id)
    if found.children is not None:
        await parenting.act(services, acting, action, job_id)
        async with services.database.transaction(caller.tenant_id) as transaction:
            answer = await _answer(transaction, services, await _find(transaction, caller, job_id))
        _tell_where(answer, response)
        return answer
    async with services.database.transaction(caller.tenant_id) as transaction:
        # Documents before jobs, as everywhere.
        there = await file_sets.lock_documents(transaction, [found.document_id] if found.document_id else [])
        job = await _find(transaction, caller, job_id, locked=True)
        check_kinds(caller.permissions, [job.kind], steers=True)
        check(action, JobState(job.state))
        if action is Action.RETRY:
            await check_job(transaction, caller, job, is_there=bool(there))
        changed = await steering.apply(transaction.driver, action, [job_id], apart=True)
        await acting.note(transaction, before={"state": job.state}, after={"job_id": str(job_id)})
        await transaction.session.refresh(job)  # the session does not know of statements of the driver
        answer = await _answer(transaction, services, job)
        _tell_where(answer, response)
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch(changed.rows)
    await services.dispatcher.tell(action, changed.asked)
    return answer


def _tell_where(answer: schemas.Job, response: Response) -> None:
    """To look on, if it is not done yet."""
    if answer.state in UNFINISHED and answer.state != JobState.PAUSED:
        response.status_code = 202
        point_to(answer.id, response)


async def _find(transaction: Transaction, caller: Identity, job_id: UUID, *, locked: bool = False) -> Job:
    """One that the caller may see. `locked`: nobody else changes it until the transaction ends. Raises `NotFound`."""
    found = await lists.job(transaction, job_id, without=withheld(caller.permissions), locked=locked)
    if found is None:
        raise NotFound
    return found


async def _answer(transaction: Transaction, services: State, job: Job) -> schemas.Job:
    workforce, position = await workforce_of(transaction, services), await lists.position(transaction, job.id)
    eta = await of_queued(transaction, services.settings.alive_time, job, workforce, position)
    return schemas.Job.of(job, workforce, position, eta)
