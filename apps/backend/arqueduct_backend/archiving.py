"""Archiving and restoring file sets and projects as a whole: marked at once, their documents follow by a batch.

A project and its set go together, as long as no other project that is not archived has the set. A document that is in
another set that is not archived stays where it is.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlmodel import func
from starlette.responses import Response

from arqueduct import models
from arqueduct.database import Transaction
from arqueduct.errors import ProjectUnfinished
from arqueduct.lifecycle import UNFINISHED
from arqueduct.permissions import Permission
from arqueduct.repositories import file_sets, projects, statements
from arqueduct.repositories.children import BATCH, Brood
from arqueduct.repositories.originals import ARCHIVE
from arqueduct_backend.access import Acting, needs
from arqueduct_backend.batch_schemas import BatchAccepted
from arqueduct_backend.errands import check_quota, point_to
from arqueduct_backend.family_status import state_of
from arqueduct_backend.planting import check_number, plant, shown
from arqueduct_backend.state import State

__all__ = ["MOVED", "move_project", "move_set"]

log = structlog.get_logger()

MOVED: dict[str, Any] = {
    "dependencies": [needs(Permission.DOCUMENTS_WRITE), needs(Permission.JOBS_WRITE)],
    "status_code": 202,
    "response_model": BatchAccepted,
}
"""Of a route that archives or restores one."""


async def move_set(services: State, acting: Acting, file_set_id: UUID, kind: str, response: Response) -> BatchAccepted:
    """The batch of its documents; `kind` is that of their jobs, and says which way.

    Again for a set that is archived or restored already: what an earlier batch left. Raises `NotFound`, `FileSetBusy`,
    `TooManyDocuments`, `QuotaExceeded`.
    """
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await check_quota(transaction, acting, jobs=0)  # a place in the line, before anything is locked
        file_set = await file_sets.find(transaction, file_set_id, locked=True)
        moving = await _move(transaction, services, acting, file_set, kind)
        row = await _plant(transaction, services, acting, kind, file_set.name, moving)
        await acting.note(transaction, after={"file_set_id": str(file_set_id), **_told(row)})
        answer = await _answer(transaction, services, acting, row, response)
    await services.dispatcher.dispatch([row])
    log.info("file set on the move", file_set=str(file_set_id), kind=kind, documents=len(moving))
    return answer


async def move_project(
    services: State, acting: Acting, project_id: UUID, kind: str, response: Response
) -> BatchAccepted:
    """The same for a project with its set. Raises also `ProjectUnfinished`."""
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        await check_quota(transaction, acting, jobs=0)
        project = await projects.hold(transaction, project_id)
        _, job = await projects.find(transaction, project_id)
        if (state := await state_of(transaction, job)) in UNFINISHED:
            raise ProjectUnfinished(state=state)
        if (project.archived_at is None) == (kind == ARCHIVE):
            await statements.revise(transaction, project, _mark(kind))
        moving = await _move_set_of(transaction, services, acting, project, kind)
        row = await _plant(transaction, services, acting, kind, project.name, moving)
        await acting.note(transaction, after={"project_id": str(project_id), **_told(row)})
        answer = await _answer(transaction, services, acting, row, response)
    await services.dispatcher.dispatch([row])
    log.info("project on the move", project=str(project_id), kind=kind, documents=len(moving))
    return answer


async def _move_set_of(
    transaction: Transaction, services: State, acting: Acting, project: models.Project, kind: str
) -> Sequence[UUID]:
    if project.file_set_id is None:
        return []
    file_set = await file_sets.find(transaction, project.file_set_id, locked=True)
    if kind == ARCHIVE and await projects.has_open(transaction, file_set.id):
        return []
    return await _move(transaction, services, acting, file_set, kind)


async def _move(
    transaction: Transaction, services: State, acting: Acting, file_set: models.FileSet, kind: str
) -> Sequence[UUID]:
    """Marks a set that is locked; returns those of its documents that go with it."""
    if (file_set.archived_at is None) == (kind == ARCHIVE):
        await statements.revise(transaction, file_set, _mark(kind))
    moving = await file_sets.lock_moving(transaction, file_set.id, archived=kind != ARCHIVE)
    check_number(len(moving), services.settings.max_family)
    await check_quota(transaction, acting, jobs=len(moving))
    return moving


def _mark(kind: str) -> dict[str, object]:
    return {"archived_at": func.now() if kind == ARCHIVE else None}


async def _plant(
    transaction: Transaction, services: State, acting: Acting, kind: str, name: str, document_ids: Sequence[UUID]
) -> asyncpg.Record:
    brood = Brood(
        tenant_id=acting.identity.tenant_id,
        user_id=acting.identity.user_id,
        parent_kind=BATCH,
        name=name,
        kind=kind,
        document_ids=document_ids,
        about={"action": kind},
        max_failures=services.settings.max_failures,
        gives_status=False,
    )
    return await plant(transaction.driver, brood)


async def _answer(
    transaction: Transaction, services: State, acting: Acting, row: asyncpg.Record, response: Response
) -> BatchAccepted:
    answer = await shown(transaction, services, row["id"])
    point_to(answer.job.id, response)
    await acting.keep(transaction, answer, response)
    return answer


def _told(row: asyncpg.Record) -> dict[str, object]:
    return {"job_id": str(row["id"]), "documents": row["children"]}
