"""Batches: the same job for many documents, seen and steered as one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from arqueduct import models
from arqueduct.database import Transaction
from arqueduct.errors import (
    ActionUnknown,
    DependencyUnavailable,
    DocumentArchived,
    DocumentBusy,
    InvalidCursor,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NothingToProcess,
    NoWorkerYet,
    ProfileInvalid,
    ProfileUnknown,
    QuotaExceeded,
    TooManyDocuments,
)
from arqueduct.lifecycle import Action, JobState
from arqueduct.permissions import Permission
from arqueduct.repositories import lists
from arqueduct.repositories.children import BATCH
from arqueduct_backend import cursors, error_report, planting
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.batch_schemas import Batch, BatchAccepted, BatchAsked
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.family_schemas import ChildJob, FamilyStatus
from arqueduct_backend.family_status import Pages, files_of, status_of
from arqueduct_backend.family_steering import STEERED, steer
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.project_schemas import ChildChoice
from arqueduct_backend.schemas import Page

__all__ = ["router"]

router = APIRouter(
    prefix="/batches",
    tags=["batches"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

READ = [needs(Permission.JOBS_READ)]
BEGIN = [needs(Permission.DOCUMENTS_WRITE), needs(Permission.JOBS_WRITE)]

State = Annotated[JobState | None, Query(description="Only documents in this state.")]


@router.post(
    "",
    dependencies=BEGIN,
    status_code=202,
    response_model=BatchAccepted,
    responses=answers(
        ActionUnknown,
        DocumentArchived,
        DocumentBusy,
        NotFound,
        NothingToProcess,
        NoWorkerYet,
        ProfileInvalid,
        ProfileUnknown,
        QuotaExceeded,
        TooManyDocuments,
    ),
)
async def create_batch(asked: BatchAsked, services: Services, acting: Acts, response: Response) -> BatchAccepted:
    """Makes a job for each document that is named, or that fits the filter now, and starts them: all or nothing.

    `document.ingest` leaves out what fits the filter and is being processed already; named, it is refused.
    """
    return await planting.batch(services, acting, asked, response)


@router.get("", dependencies=READ, response_model=Page[Batch], responses=answers(InvalidCursor))
async def list_batches(transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None) -> Page[Batch]:
    """The newest first."""
    before = cursors.id_of("batches", cursor)
    found = await lists.jobs_page(transaction, without=(), limit=limit + 1, before=before, kind=BATCH)
    return page_of(found, limit, Batch.of, lambda last: cursors.of("batches", last.id))


@router.get("/{batch_id}", dependencies=READ, response_model=FamilyStatus, responses=answers(NotFound))
async def get_batch(
    batch_id: UUID,
    transaction: TenantTransaction,
    state: State = None,
    limit: Limit = 50,
) -> FamilyStatus:
    """How it stands: counters, throughput, time left, errors, cost, and the first of its documents."""
    job = await _find(transaction, batch_id)
    return await status_of(transaction, job, job.id, Pages(limit=limit, state=state))


@router.get(
    "/{batch_id}/files", dependencies=READ, response_model=Page[ChildJob], responses=answers(NotFound, InvalidCursor)
)
async def list_batch_files(
    batch_id: UUID,
    transaction: TenantTransaction,
    state: State = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChildJob]:
    """Every document with the progress of its job."""
    job = await _find(transaction, batch_id)
    return await files_of(transaction, job.id, Pages(limit=limit, cursor=cursor, state=state))


@router.get(
    "/{batch_id}/errors", dependencies=READ, response_model=error_report.ErrorReport, responses=error_report.ANSWERS
)
async def get_batch_errors(
    batch_id: UUID,
    services: Services,
    transaction: TenantTransaction,
    form: error_report.Form = "json",
    error_code: error_report.CodeQuery = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> error_report.ErrorReport | Response:
    """What failed, where, why, and what to do; as CSV all of it at once."""
    job = await _find(transaction, batch_id)
    wanted = error_report.Wanted(parent_id=job.id, code=error_code)
    return await error_report.answer(services, transaction, job.tenant_id, wanted, form, limit, cursor)


@router.post("/{batch_id}/cancel", **STEERED)
async def cancel_batch(batch_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Ends waiting jobs at once and asks the workers of running ones to stop."""
    return await _act(services, acting, Action.CANCEL, batch_id)


@router.post("/{batch_id}/pause", **STEERED)
async def pause_batch(batch_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Puts waiting jobs aside and asks the workers of running ones to stop; what is done is kept."""
    return await _act(services, acting, Action.PAUSE, batch_id)


@router.post("/{batch_id}/resume", **STEERED)
async def resume_batch(batch_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Puts paused jobs back into the queue."""
    return await _act(services, acting, Action.RESUME, batch_id)


@router.post("/{batch_id}/retry", **STEERED)
async def retry_batch(
    batch_id: UUID, services: Services, acting: Acts, choice: ChildChoice | None = None
) -> FamilyStatus:
    """Puts the jobs that failed back into the queue, all or those of a choice, and no others."""
    return await _act(services, acting, Action.RETRY, batch_id, choice)


async def _act(
    services: "Services", acting: "Acts", action: Action, batch_id: UUID, choice: ChildChoice | None = None
) -> FamilyStatus:
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await _find(transaction, batch_id)
    return await steer(services, acting, action, batch_id, choice=choice)


async def _find(transaction: Transaction, batch_id: UUID) -> models.Job:
    job = await lists.job(transaction, batch_id, without=())
    if job is None or job.kind != BATCH:
        raise NotFound
    return job
