"""Cancel, pause, resume and retry a job with children: it is asked of all of them, some hundred a transaction.

What is wanted is written down first. Should this process die on the way, workers see to the rest of the children; only
a retry has to be sent again.
"""

from uuid import UUID

import asyncpg

from arqueduct.errors import IllegalTransition, NotFound
from arqueduct.families import Asked
from arqueduct.lifecycle import UNFINISHED, Action, JobState, check
from arqueduct.models import Job
from arqueduct.repositories import folding, lists, parents
from arqueduct.repositories.steering import JobFilter
from arqueduct_backend.access import Acting
from arqueduct_backend.retrying import check_children
from arqueduct_backend.state import State
from arqueduct_backend.steering import MOST, steer

__all__ = ["act", "brought_up_to_date"]

ENDING = (Asked.CANCEL, Asked.STOP)
YIELDING = (Action.PAUSE, Action.RESUME)
"""What does not undo that: a cancel counts more than a pause, for a family as for one job."""
WANTED = {Action.CANCEL: Asked.CANCEL, Action.PAUSE: Asked.PAUSE, Action.RESUME: Asked.RESUME, Action.RETRY: None}


async def act(
    services: State, acting: Acting, action: Action, job_id: UUID, *, children: JobFilter | None = None
) -> None:
    """Does it to the children, all or those of a filter, and brings the parent up to date.

    A retry without a filter is of all that failed, and of those cancelled too where the parent itself was. Raises
    `NotFound`, `IllegalTransition` and `DependencyUnavailable`; what was committed before stays.
    """
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        # What may be done goes by the state that its status shows, which is a second ahead of the row.
        folded = await folding.fold(transaction.driver, [job_id])
        held = await parents.hold(transaction.driver, job_id)
        job = await lists.job(transaction, job_id, without=(), locked=True)
        if held is None or job is None:
            raise NotFound
        wanted = children or _children(action, job)
        _check(action, JobState(job.state), held, is_choice=children is not None)
        if action is Action.RETRY:
            await check_children(transaction.driver, job, wanted, is_choice=children is not None)
        if children is None and (held["asked"] not in ENDING or action not in YIELDING):
            await parents.set_asked(transaction.driver, job_id, WANTED[action])
        await acting.note(transaction, before={"state": job.state}, after={"job_id": str(job_id)})
    await services.dispatcher.announce(folded.rows)
    if action is Action.RESUME:
        await _call_off(services, acting.identity.tenant_id, job_id)
    for _ in range(0, max(job.children or 1, 1), MOST):  # so many are steered at a time
        steered = await steer(services, acting, action, wanted, apart=False)
        if not steered.remaining:
            break
    await brought_up_to_date(services, acting.identity.tenant_id, job_id)


def _check(action: Action, state: JobState, held: asyncpg.Record, *, is_choice: bool) -> None:
    """Raises `IllegalTransition`. What is paused can be resumed, be it that others run, or are still stopping; some of
    those that have ended can be retried while others run, unless all are being ended."""
    if is_choice:
        if state in UNFINISHED and held["asked"] in ENDING:
            raise IllegalTransition(
                "It is stopping, so what is retried now would be cancelled.",
                advice="Retry once it has ended.",
                state=state,
            )
    elif action is not Action.RESUME or not (held["paused"] or held["asked"] == Asked.PAUSE):
        check(action, state)


async def _call_off(services: State, tenant_id: UUID, job_id: UUID) -> None:
    async with services.database.transaction(tenant_id) as transaction:
        await parents.call_off_pause(transaction.driver, job_id)


async def brought_up_to_date(services: State, tenant_id: UUID, job_id: UUID) -> None:
    """Folds the parent now, so that whoever asked for something sees it done."""
    async with services.database.transaction(tenant_id) as transaction:
        folded = await folding.fold(transaction.driver, [job_id])
    await services.dispatcher.announce(folded.rows)


def _children(action: Action, job: Job) -> JobFilter:
    if action is not Action.RETRY:
        return JobFilter(parent_id=job.id)
    again = [JobState.FAILED, JobState.CANCELLED] if job.state == JobState.CANCELLED else [JobState.FAILED]
    return JobFilter(parent_id=job.id, states=again)
