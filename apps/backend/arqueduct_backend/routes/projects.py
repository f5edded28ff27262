"""Projects: a file set, processed as a whole under a profile; how it stands, to the last file; steering it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from arqueduct import models
from arqueduct.errors import (
    DependencyUnavailable,
    FileSetArchived,
    FileSetBusy,
    FileSetDeleted,
    FileSetEmpty,
    IllegalTransition,
    InvalidCursor,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NothingToProcess,
    ProfileUnknown,
    ProjectArchived,
    ProjectUnfinished,
    QuotaExceeded,
    TooManyDocuments,
)
from arqueduct.lifecycle import UNFINISHED, Action, JobState
from arqueduct.permissions import Permission
from arqueduct.repositories import projects, statements
from arqueduct.repositories.originals import ARCHIVE, RESTORE
from arqueduct_backend import cursors, error_report, planting
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.archiving import MOVED, move_project
from arqueduct_backend.batch_schemas import BatchAccepted
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, check, etag_of, is_known, not_modified
from arqueduct_backend.family_schemas import ChildJob, FamilyStatus
from arqueduct_backend.family_status import Pages, files_of, state_of, status_of
from arqueduct_backend.family_steering import STEERED, steer
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.project_schemas import (
    ChildChoice,
    Project,
    ProjectAccepted,
    ProjectAsked,
    ProjectChange,
    ProjectRun,
    ProjectRunAsked,
)
from arqueduct_backend.schemas import Page

__all__ = ["router"]

router = APIRouter(
    prefix="/projects",
    tags=["projects"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)

READ = [needs(Permission.JOBS_READ)]
WRITE = [needs(Permission.JOBS_WRITE)]
BEGIN = [needs(Permission.DOCUMENTS_WRITE), *WRITE]
"""A run replaces what is known of its documents."""
UNFIT = (FileSetEmpty, FileSetBusy, FileSetArchived, NothingToProcess, ProfileUnknown, QuotaExceeded, TooManyDocuments)
STEERED_UNARCHIVED = {**STEERED, "responses": answers(NotFound, IllegalTransition, ProjectArchived)}
UNMOVED = answers(NotFound, ProjectUnfinished, FileSetBusy, QuotaExceeded, TooManyDocuments)

State = Annotated[JobState | None, Query(description="Only files in this state.")]


@router.post(
    "",
    dependencies=BEGIN,
    status_code=202,
    response_model=ProjectAccepted,
    responses=answers(NotFound, *UNFIT),
)
async def create_project(asked: ProjectAsked, services: Services, acting: Acts, response: Response) -> ProjectAccepted:
    """Looks whether the set can be processed, makes a job for each of its files, and starts them: all or nothing."""
    return await planting.project(services, acting, asked, response)


@router.get("", dependencies=READ, response_model=Page[Project], responses=answers(InvalidCursor))
async def list_projects(transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None) -> Page[Project]:
    """The newest first."""
    before = cursors.id_of("projects", cursor)
    found = await projects.page(transaction, limit=limit + 1, before=before)
    return page_of(found, limit, lambda pair: Project.of(*pair), lambda last: cursors.of("projects", last[0].id))


@router.get("/{project_id}", dependencies=READ, response_model=Project, responses=NOT_MODIFIED)
async def get_project(
    project_id: UUID, transaction: TenantTransaction, response: Response, if_none_match: IfNoneMatch = None
) -> Project | Response:
    """One project; its status, files and runs have addresses of their own."""
    found, job = await projects.find(transaction, project_id)
    tag = _tag(found, job)
    if is_known(tag, if_none_match):
        return not_modified(tag)
    response.headers["ETag"] = tag
    return Project.of(found, job)


@router.patch("/{project_id}", dependencies=WRITE, response_model=Project)
async def change_project(
    project_id: UUID,
    changes: ProjectChange,
    transaction: TenantTransaction,
    acting: Acts,
    response: Response,
    if_match: IfMatch = None,
) -> Project:
    """Changes name or description. `If-Match` takes no notice of how far its newest run is."""
    held = await projects.hold(transaction, project_id)
    _, job = await projects.find(transaction, project_id)
    check(_tag(held, job), if_match)
    await statements.revise(transaction, held, changes.model_dump(exclude_unset=True))
    await acting.note(transaction, after={"project_id": str(project_id), "changed": sorted(changes.model_fields_set)})
    response.headers["ETag"] = _tag(held, job)
    return Project.of(held, job)


@router.delete("/{project_id}", dependencies=WRITE, status_code=204, responses=answers(ProjectUnfinished))
async def delete_project(project_id: UUID, transaction: TenantTransaction, acting: Acts) -> Response:
    """Removes the project and the list of its runs. Its file set, documents and jobs stay."""
    held = await projects.hold(transaction, project_id)
    _, job = await projects.find(transaction, project_id)
    if (state := await state_of(transaction, job)) in UNFINISHED:
        raise ProjectUnfinished(state=state)
    await projects.delete(transaction, held)
    await acting.note(transaction, before={"project_id": str(project_id), "job_id": str(held.job_id)})
    return Response(status_code=204)


@router.get("/{project_id}/status", dependencies=READ, response_model=FamilyStatus, responses=answers(NotFound))
async def get_project_status(
    project_id: UUID,
    transaction: TenantTransaction,
    state: State = None,
    limit: Limit = 50,
) -> FamilyStatus:
    """How its newest run stands: counters, throughput, time left, errors, cost, and the first of its files."""
    found, job = await projects.find(transaction, project_id)
    shown = Pages(limit=limit, state=state)
    return await status_of(transaction, job, found.id, shown, file_set_id=found.file_set_id)


@router.get(
    "/{project_id}/files", dependencies=READ, response_model=Page[ChildJob], responses=answers(NotFound, InvalidCursor)
)
async def list_project_files(
    project_id: UUID,
    transaction: TenantTransaction,
    state: State = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ChildJob]:
    """Every file of its newest run with its progress, in the order in which the jobs were made."""
    found, job = await projects.find(transaction, project_id)
    shown = Pages(limit=limit, cursor=cursor, state=state)
    return await files_of(transaction, job.id, shown, file_set_id=found.file_set_id)


@router.get(
    "/{project_id}/runs",
    dependencies=READ,
    response_model=Page[ProjectRun],
    responses=answers(NotFound, InvalidCursor),
)
async def list_project_runs(
    project_id: UUID, transaction: TenantTransaction, limit: Limit = 50, cursor: Cursor = None
) -> Page[ProjectRun]:
    """Each time it was processed, the newest first."""
    before = cursors.number_of("runs", cursor)
    await projects.find(transaction, project_id)
    found = await projects.runs(transaction, project_id, limit=limit + 1, before=before)
    return page_of(found, limit, lambda pair: ProjectRun.of(*pair), lambda last: cursors.of("runs", last[0].number))


@router.get(
    "/{project_id}/errors", dependencies=READ, response_model=error_report.ErrorReport, responses=error_report.ANSWERS
)
async def get_project_errors(
    project_id: UUID,
    services: Services,
    transaction: TenantTransaction,
    form: error_report.Form = "json",
    error_code: error_report.CodeQuery = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> error_report.ErrorReport | Response:
    """What failed in its newest run, where, why, and what to do; as CSV all of it at once.

    To try some of it again, send the jobs' ids, or a code, to `retry`.
    """
    found, job = await projects.find(transaction, project_id)
    wanted = error_report.Wanted(parent_id=job.id, code=error_code, file_set_id=found.file_set_id)
    return await error_report.answer(services, transaction, found.tenant_id, wanted, form, limit, cursor)


@router.post(
    "/{project_id}/runs",
    dependencies=BEGIN,
    status_code=202,
    response_model=ProjectAccepted,
    responses=answers(NotFound, FileSetDeleted, ProjectUnfinished, ProjectArchived, *UNFIT),
)
async def run_project(
    project_id: UUID, asked: ProjectRunAsked, services: Services, acting: Acts, response: Response
) -> ProjectAccepted:
    """Processes the files of the set once more, as they are now, under this or another profile."""
    return await planting.rerun(services, acting, project_id, asked, response)


@router.post("/{project_id}/archive", **MOVED, responses=UNMOVED)
async def archive_project(project_id: UUID, services: Services, acting: Acts, response: Response) -> BatchAccepted:
    """Puts it away with its set and documents, by a batch; a set that another project uses stays, and its documents."""
    return await move_project(services, acting, project_id, ARCHIVE, response)


@router.post("/{project_id}/restore", **MOVED, responses=UNMOVED)
async def restore_project(project_id: UUID, services: Services, acting: Acts, response: Response) -> BatchAccepted:
    """Brings it back with its set and all documents of that, by a batch."""
    return await move_project(services, acting, project_id, RESTORE, response)


@router.post("/{project_id}/cancel", **STEERED)
async def cancel_project(project_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Ends waiting files at once and asks the workers of running ones to stop; what is completed stays."""
    return await _act(services, acting, Action.CANCEL, project_id)


@router.post("/{project_id}/pause", **STEERED)
async def pause_project(project_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Puts waiting files aside and asks the workers of running ones to stop; what is done is kept."""
    return await _act(services, acting, Action.PAUSE, project_id)


@router.post("/{project_id}/resume", **STEERED_UNARCHIVED)
async def resume_project(project_id: UUID, services: Services, acting: Acts) -> FamilyStatus:
    """Puts paused files back into the queue."""
    return await _act(services, acting, Action.RESUME, project_id)


@router.post("/{project_id}/retry", **STEERED_UNARCHIVED)
async def retry_project(
    project_id: UUID, services: Services, acting: Acts, choice: ChildChoice | None = None
) -> FamilyStatus:
    """Puts the files that failed back into the queue, all or those of a choice, and no others."""
    return await _act(services, acting, Action.RETRY, project_id, choice)


async def _act(
    services: "Services", acting: "Acts", action: Action, project_id: UUID, choice: ChildChoice | None = None
) -> FamilyStatus:
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        found, _ = await projects.find(transaction, project_id)
    if found.archived_at is not None and action in (Action.RESUME, Action.RETRY):
        raise ProjectArchived
    return await steer(
        services, acting, action, found.job_id, shown_as=found.id, file_set_id=found.file_set_id, choice=choice
    )


def _tag(project: models.Project, job: models.Job) -> str:
    return etag_of(project.id, project.updated_at, project.file_set_id, job.id, progress=job.seq)
