"""The same asked of many jobs, by what they have in common. Jobs whose state does not allow it are passed over."""

from fastapi import APIRouter

from arqueduct.errors import DependencyUnavailable, InvalidRequest, NotAuthenticated
from arqueduct.lifecycle import Action
from arqueduct.permissions import Permission
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.budgets import Budget, budget
from arqueduct_backend.dependencies import Services
from arqueduct_backend.overseeing import JobSelection, Steered
from arqueduct_backend.problems import answers
from arqueduct_backend.steering import steer

__all__ = ["router"]

router = APIRouter(
    prefix="/jobs",
    tags=["jobs"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)


@router.post("/cancel", dependencies=[needs(Permission.JOBS_WRITE)], response_model=Steered)
async def cancel_jobs(selection: JobSelection, services: Services, acting: Acts) -> Steered:
    """Ends waiting jobs at once and asks the workers of running ones to stop; 10,000 a request."""
    return await steer(services, acting, Action.CANCEL, selection.filter())


@router.post("/pause", dependencies=[needs(Permission.JOBS_WRITE)], response_model=Steered)
async def pause_jobs(selection: JobSelection, services: Services, acting: Acts) -> Steered:
    """Puts waiting jobs aside and asks the workers of running ones to stop; 10,000 a request."""
    return await steer(services, acting, Action.PAUSE, selection.filter())


@router.post("/resume", dependencies=[needs(Permission.JOBS_WRITE), budget(Budget.EXPENSIVE)], response_model=Steered)
async def resume_jobs(selection: JobSelection, services: Services, acting: Acts) -> Steered:
    """Puts paused jobs back into the queue; 10,000 a request."""
    return await steer(services, acting, Action.RESUME, selection.filter())


@router.post("/retry", dependencies=[needs(Permission.JOBS_WRITE), budget(Budget.EXPENSIVE)], response_model=Steered)
async def retry_jobs(selection: JobSelection, services: Services, acting: Acts) -> Steered:
    """Puts failed and cancelled jobs back into the queue, where their document is still there; 10,000 a request.

    Name the state to leave cancelled ones alone. Passed over are jobs whose document was given a newer one since, and
    runs of retention and of the storage, which are retried one by one.
    """
    return await steer(services, acting, Action.RETRY, selection.filter())
