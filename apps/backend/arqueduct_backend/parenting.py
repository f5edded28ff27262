"""Cancel, pause, resume and retry a job with children: it is asked of all of them, some hundred a transaction.

What is wanted is written down first. Should this process die on the way, workers see to the rest of the children; only
a retry has to be sent again.
"""

from uuid import UUID

from arqueduct.errors import NotFound
from arqueduct.families import Asked
from arqueduct.lifecycle import Action, JobState, check
from arqueduct.models import Job
from arqueduct.repositories import folding, lists, parents
from arqueduct.repositories.steering import JobFilter
from arqueduct_backend.access import Acting
from arqueduct_backend.state import State
from arqueduct_backend.steering import MOST, steer

__all__ = ["act", "brought_up_to_date"]

WANTED = {Action.CANCEL: Asked.CANCEL, Action.PAUSE: Asked.PAUSE, Action.RESUME: Asked.RESUME, Action.RETRY: None}


async def act(
    services: State, acting: Acting, action: Action, job_id: UUID, *, children: JobFilter | None = None
) -> None:
    """Does it to the children, all or those of a filter, and brings the parent up to date.

    A retry without a filter is of all that failed, and of those cancelled too where the parent itself was. Raises
    `NotFound`, `IllegalTransition` and `DependencyUnavailable`; what was committed before stays.
    """
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        held = await parents.hold(transaction.driver, job_id)
        job = await lists.job(transaction, job_id, without=(), locked=True)
        if held is None or job is None:
            raise NotFound
        if children is None:
            if not (action is Action.RESUME and held["asked"] == Asked.PAUSE):  # some may still be stopping
                check(action, JobState(job.state))
            await parents.set_asked(transaction.driver, job_id, WANTED[action])
        await acting.note(transaction, before={"state": job.state}, after={"job_id": str(job_id)})
    if action is Action.RESUME:
        await _call_off(services, acting.identity.tenant_id, job_id)
    wanted = children or _children(action, job)
    for _ in range(0, max(job.children or 1, 1), MOST):  # so many are steered at a time
        steered = await steer(services, acting, action, wanted)
        if not steered.remaining:
            break
    await brought_up_to_date(services, acting.identity.tenant_id, job_id)


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
