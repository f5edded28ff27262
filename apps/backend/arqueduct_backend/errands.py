"""Making a job that takes no upload: its row in a transaction of the caller's, its wake-up after the commit."""

from typing import Any
from uuid import UUID

import asyncpg
from starlette.responses import Response

from arqueduct import models
from arqueduct.database import Transaction
from arqueduct.ids import new_id
from arqueduct.lifecycle import Priority
from arqueduct.repositories import jobs, quotas
from arqueduct_backend.access import Acting
from arqueduct_backend.schemas import Job
from arqueduct_backend.state import State
from arqueduct_backend.workforce import workforce_of

__all__ = ["check_quota", "point_to", "queue"]


async def queue(
    services: State,
    transaction: Transaction,
    acting: Acting,
    response: Response,
    kind: str,
    *,
    document: models.Document | None = None,
    payload: dict[str, Any] | None = None,
    priority: Priority = Priority.NORMAL,
) -> tuple[models.Job, Job, list[asyncpg.Record]]:
    """The row, what is answered, and what the dispatcher has to be given after the commit. `response` gets its headers.

    The caller has asked `check_quota` already.
    """
    caller = acting.identity
    job = models.Job(
        id=new_id(),
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        kind=kind,
        document_id=document.id if document else None,
        document_name=document.name if document else None,
        payload=payload or {},
        priority=priority,
        max_failures=services.settings.max_failures,
    )
    transaction.session.add(job)
    await transaction.session.flush()
    created = await jobs.note_created(transaction.driver, [job.id])
    await transaction.session.refresh(job)
    point_to(job.id, response)
    return job, Job.of(job, await workforce_of(transaction, services)), created


def point_to(job_id: UUID, response: Response) -> None:
    """Headers of an answer that the work is accepted: where to look on, and when."""
    response.headers["Location"] = f"/api/v1/jobs/{job_id}"
    response.headers["Retry-After"] = "1"


async def check_quota(transaction: Transaction, acting: Acting, *, jobs: int = 1) -> None:
    """Of so many more jobs; before anything is locked. Raises `QuotaExceeded`.

    Who locks rows before it is known how many asks twice: first for none. Where there is a quota it stands in the line
    from then on, so the second time nobody waits with a row in hand.
    """
    caller = acting.identity
    await quotas.check(transaction, tenant_id=caller.tenant_id, user_id=caller.user_id, jobs=jobs)
