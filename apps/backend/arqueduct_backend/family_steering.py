"""Steering a project or a batch as one, and telling how it stands then.

None of this draws on the budget of POST /jobs/retry and its like, ten an hour: those may mean every job of a tenant,
this is the button of one page, and a family has no more children than `ARQUEDUCT_MAX_FAMILY`.
"""

from typing import Any
from uuid import UUID

from arqueduct.errors import IllegalTransition, NotFound
from arqueduct.lifecycle import Action, JobState
from arqueduct.permissions import Permission
from arqueduct.repositories import lists
from arqueduct.repositories.steering import JobFilter
from arqueduct_backend import parenting
from arqueduct_backend.access import Acting, needs
from arqueduct_backend.family_schemas import FamilyStatus
from arqueduct_backend.family_status import Pages, status_of
from arqueduct_backend.problems import answers
from arqueduct_backend.project_schemas import ChildChoice
from arqueduct_backend.state import State

__all__ = ["SHOWN", "STEERED", "steer"]

SHOWN = 50
"""Files in the answer."""
STEERED: dict[str, Any] = {
    "dependencies": [needs(Permission.JOBS_WRITE)],
    "response_model": FamilyStatus,
    "responses": answers(NotFound, IllegalTransition),
}
"""Of a route that steers one."""


async def steer(
    services: State,
    acting: Acting,
    action: Action,
    job_id: UUID,
    *,
    shown_as: UUID | None = None,
    file_set_id: UUID | None = None,
    choice: ChildChoice | None = None,
) -> FamilyStatus:
    """`job_id` is the parent's, `shown_as` the project's, if it is one's; `choice`: of which children.

    Raises `NotFound`, `IllegalTransition`.
    """
    chosen = _chosen(job_id, choice) if choice is not None and choice.is_named else None
    await parenting.act(services, acting, action, job_id, children=chosen)
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        job = await lists.job(transaction, job_id, without=())
        if job is None:
            raise NotFound
        return await status_of(transaction, job, shown_as or job_id, Pages(limit=SHOWN), file_set_id=file_set_id)


def _chosen(job_id: UUID, choice: ChildChoice) -> JobFilter:
    states = [JobState.FAILED, JobState.CANCELLED] if choice.with_cancelled else [JobState.FAILED]
    return JobFilter(parent_id=job_id, states=states, error_code=choice.error_code, ids=choice.job_ids)
