"""Making projects, further runs of them, and batches: everything in one transaction, then the wake-ups."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from starlette.responses import Response

from arqueduct import models
from arqueduct.database import Driver, Transaction
from arqueduct.errors import (
    ActionUnknown,
    DocumentArchived,
    DocumentBusy,
    FileSetDeleted,
    NotFound,
    NothingToProcess,
    ProfileInvalid,
    ProjectArchived,
    ProjectUnfinished,
    TooManyDocuments,
)
from arqueduct.ids import new_id
from arqueduct.lifecycle import UNFINISHED, Priority
from arqueduct.profiles import Profile, payload_of
from arqueduct.repositories import (
    archive,
    children,
    choices,
    file_sets,
    installations,
    lists,
    profiles,
    projects,
    statements,
)
from arqueduct.repositories.children import BATCH, INGEST, PROJECT, Brood
from arqueduct.repositories.originals import ARCHIVE, RESTORE
from arqueduct_backend.access import Acting
from arqueduct_backend.batch_schemas import Batch, BatchAccepted, BatchAsked
from arqueduct_backend.errands import check_quota, point_to
from arqueduct_backend.family_schemas import ErrorPolicy
from arqueduct_backend.family_status import state_of
from arqueduct_backend.project_schemas import Project, ProjectAccepted, ProjectAsked, ProjectRunAsked
from arqueduct_backend.schemas import Job
from arqueduct_backend.state import State
from arqueduct_backend.workforce import workforce_of

__all__ = ["batch", "check_number", "plant", "project", "rerun", "shown"]

log = structlog.get_logger()

OF_DOCUMENTS = "document."
"""How the kinds of pipelines for documents begin."""
BUILT_IN = (INGEST, ARCHIVE, RESTORE)
"""What needs no worker to say that it is there."""
SHOWN = 5


async def project(services: State, acting: Acting, asked: ProjectAsked, response: Response) -> ProjectAccepted:
    """The new project with its job; `response` gets its headers.

    Raises `NotFound`, `ProfileUnknown`, what makes the set unfit, `TooManyDocuments`, `QuotaExceeded`.
    """
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        await check_quota(transaction, acting, jobs=0)  # a place in the line, before anything is locked
        made = models.Project(
            id=new_id(),
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            name=asked.name,
            description=asked.description,
            file_set_id=asked.file_set_id,
            job_id=new_id(),
        )
        profile = await profiles.resolve(transaction, asked.profile)
        row = await _run(transaction, services, acting, made, profile, asked.policy, is_new=True)
        answer = await _accepted(transaction, services, made)
        point_to(answer.job.id, response)
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch([row])
    log.info("project made", project=str(made.id), job=str(made.job_id), files=answer.project.files)
    return answer


async def rerun(
    services: State, acting: Acting, project_id: UUID, asked: ProjectRunAsked, response: Response
) -> ProjectAccepted:
    """The project's next run. Raises `NotFound`, `ProjectArchived`, `ProjectUnfinished` and what `project` raises."""
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await check_quota(transaction, acting, jobs=0)
        held = await projects.hold(transaction, project_id)
        if held.archived_at is not None:
            raise ProjectArchived
        newest = await lists.job(transaction, held.job_id, without=())
        if newest is not None and (state := await state_of(transaction, newest)) in UNFINISHED:
            raise ProjectUnfinished(state=state)
        profile = await profiles.resolve(transaction, asked.profile)
        row = await _run(transaction, services, acting, held, profile, asked.policy, is_new=False)
        answer = await _accepted(transaction, services, held)
        point_to(answer.job.id, response)
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch([row])
    log.info("project runs again", project=str(project_id), job=str(held.job_id))
    return answer


async def batch(services: State, acting: Acting, asked: BatchAsked, response: Response) -> BatchAccepted:
    """The new batch with its job; `response` gets its headers.

    Raises `ActionUnknown`, `NotFound`, `NothingToProcess`, `ProfileUnknown`, `ProfileInvalid`, `TooManyDocuments`,
    `DocumentArchived`, `DocumentBusy`, `QuotaExceeded`, `NoWorkerYet`.
    """
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        await _check_action(transaction, services, asked.action)
        await check_quota(transaction, acting, jobs=0)  # a place in the line, before anything is locked
        document_ids = await _documents_of(transaction, asked, services.settings.max_family)
        await check_quota(transaction, acting, jobs=len(document_ids))
        profile = await profiles.resolve(transaction, asked.profile) if asked.profile else None
        if profile is not None and profile.settings.pipeline != asked.action:
            raise ProfileInvalid(f"The profile {profile.name} is for jobs of the kind {profile.settings.pipeline}.")
        row = await plant(
            transaction.driver,
            _brood(
                services,
                acting,
                profile,
                asked.policy,
                parent_kind=BATCH,
                name=asked.name,
                kind=asked.action,
                document_ids=document_ids,
                about={"action": asked.action},
                gives_status=asked.action == INGEST,
            ),
        )
        await acting.note(transaction, after={"job_id": str(row["id"]), "documents": len(document_ids)})
        answer = await shown(transaction, services, row["id"])
        point_to(answer.job.id, response)
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch([row])
    log.info("batch made", job=str(answer.job.id), kind=asked.action, documents=answer.batch.documents)
    return answer


async def plant(driver: Driver, brood: Brood) -> asyncpg.Record:
    """A batch. Where it archives documents, which the caller holds and knows to be idle, no search finds them from now
    on, as with a single one."""
    row = await children.plant(driver, brood)
    if brood.kind == ARCHIVE:
        await archive.hide_all(driver, brood.document_ids)
    return row


async def shown(transaction: Transaction, services: State, job_id: UUID) -> BatchAccepted:
    """A batch that was just made."""
    job = await _job(transaction, job_id)
    return BatchAccepted(batch=Batch.of(job), job=Job.of(job, await workforce_of(transaction, services)))


async def _run(
    transaction: Transaction,
    services: State,
    acting: Acting,
    of: models.Project,
    profile: Profile,
    policy: ErrorPolicy,
    *,
    is_new: bool,
) -> asyncpg.Record:
    """One run of a project. Its set is locked first, so that nobody fills or starts it meanwhile."""
    if of.file_set_id is None:
        raise FileSetDeleted
    await file_sets.find(transaction, of.file_set_id, locked=True)
    for problem in await file_sets.problems(transaction, of.file_set_id):
        raise problem
    skips = profile.settings.duplicates == "skip"
    document_ids, skipped = await projects.documents_of(transaction, of.file_set_id, skips_duplicates=skips)
    if not document_ids and not skipped:
        raise NothingToProcess("All files of the set are archived.", advice="Restore them, or put others into the set.")
    check_number(len(document_ids), services.settings.max_family)
    await children.hold(transaction.driver, document_ids)
    for problem in await file_sets.problems(transaction, of.file_set_id):  # again: another set may share some
        raise problem
    await check_quota(transaction, acting, jobs=len(document_ids))
    row = await children.plant(
        transaction.driver,
        _brood(
            services,
            acting,
            profile,
            policy,
            parent_kind=PROJECT,
            name=of.name,
            kind=profile.settings.pipeline,
            document_ids=document_ids,
            about={"project_id": str(of.id), "action": profile.settings.pipeline},
            gives_status=True,
        ),
    )
    of.job_id = row["id"]
    if is_new:
        transaction.session.add(of)
        await transaction.session.flush()
        await transaction.session.refresh(of)
    else:
        await statements.revise(transaction, of, {})
    run = await projects.add_run(transaction, of, row["id"], profile, skipped)
    await acting.note(
        transaction,
        after={"project_id": str(of.id), "job_id": str(row["id"]), "run": run.number, "files": row["children"]},
    )
    return row


def _brood(services: State, acting: Acting, profile: Profile | None, policy: ErrorPolicy, **fields: Any) -> Brood:
    settings = profile.settings if profile else None
    return Brood(
        tenant_id=acting.identity.tenant_id,
        user_id=acting.identity.user_id,
        payload=payload_of(profile) if profile else {},
        policy=policy.policy(),
        priority=Priority[(settings.priority if settings else "normal").upper()],
        max_failures=(settings and settings.max_failures) or services.settings.max_failures,
        **fields,
    )


async def _documents_of(transaction: Transaction, asked: BatchAsked, most: int) -> Sequence[UUID]:
    """Raises `NotFound`, `DocumentArchived` and `DocumentBusy` that name some of those that cannot be had,
    `NothingToProcess`, `TooManyDocuments`.
    """
    found: Sequence[UUID]
    of_archived = asked.action == RESTORE
    if asked.document_ids is not None:
        wanted = list(dict.fromkeys(asked.document_ids))
        check_number(len(wanted), most)
        found = await _named(transaction, wanted, asked.action, of_archived=of_archived)
    elif asked.filter is not None and asked.filter.archived in (None, of_archived):
        is_idle = True if asked.action in BUILT_IN else None
        meant = replace(asked.filter.filter(), archived=of_archived, is_idle=is_idle)
        found = await choices.chosen(transaction.driver, meant, limit=most + 1)
        check_number(len(found), most)
    else:
        found = []
    if asked.action in BUILT_IN:
        found = await _idle(transaction, found, asked.action, is_named=asked.document_ids is not None)
    if not found:
        raise NothingToProcess
    return found


async def _idle(transaction: Transaction, found: Sequence[UUID], action: str, *, is_named: bool) -> Sequence[UUID]:
    """Without those that are being processed or, if they are to be moved, have any job that is not finished; they are
    held, so that nobody begins. Raises `DocumentBusy`."""
    held = await children.hold(transaction.driver, found, of_archived=action == RESTORE)
    busy = await (children if action == INGEST else archive).busy(transaction.driver, list(held))
    if busy and is_named:
        raise DocumentBusy(f"{len(busy):,} of these documents have jobs that are not finished: {_some(busy)}.")
    idle = held - busy
    return [document_id for document_id in found if document_id in idle]


async def _named(transaction: Transaction, wanted: Sequence[UUID], action: str, *, of_archived: bool) -> list[UUID]:
    """Without those that are archived already, or restored, where that is what is asked."""
    there = await choices.there(transaction.driver, wanted)
    if missing := set(wanted) - there.keys():
        raise NotFound(f"{len(missing):,} of these documents are not there: {_some(missing)}.")
    away = {document_id for document_id, is_archived in there.items() if is_archived}
    if away and action not in (ARCHIVE, RESTORE):
        raise DocumentArchived(f"{len(away):,} of these documents are archived: {_some(away)}.")
    return [document_id for document_id in wanted if there[document_id] == of_archived]


def _some(ids: Iterable[UUID]) -> str:
    return ", ".join(sorted(map(str, ids))[:SHOWN])


def check_number(documents: int, most: int) -> None:
    """Raises `TooManyDocuments`."""
    if documents > most:
        raise TooManyDocuments(f"A project or a batch may have {most:,} documents.", limit=most)


async def _check_action(transaction: Transaction, services: State, action: str) -> None:
    if action in BUILT_IN:
        return
    there = await installations.installed(transaction.driver, alive=services.settings.alive_time)
    if not action.startswith(OF_DOCUMENTS) or action not in there.kinds:
        raise ActionUnknown(f"No pipeline of the kind {action} is installed for documents.")


async def _accepted(transaction: Transaction, services: State, made: models.Project) -> ProjectAccepted:
    job = await _job(transaction, made.job_id)
    return ProjectAccepted(project=Project.of(made, job), job=Job.of(job, await workforce_of(transaction, services)))


async def _job(transaction: Transaction, job_id: UUID) -> models.Job:
    job = await lists.job(transaction, job_id, without=())
    if job is None:
        raise NotFound
    return job
