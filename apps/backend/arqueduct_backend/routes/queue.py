"""The queue as a tenant sees it."""

from fastapi import APIRouter

from arqueduct.errors import DependencyUnavailable, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct.repositories.backlog import backlog
from arqueduct_backend.access import needs
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.overseeing import Queue
from arqueduct_backend.problems import answers
from arqueduct_backend.workforce import workforce_of

__all__ = ["router"]

router = APIRouter(prefix="/queue", tags=["jobs"])


@router.get(
    "",
    dependencies=[needs(Permission.JOBS_READ)],
    response_model=Queue,
    responses=answers(NotAuthenticated, DependencyUnavailable),
)
async def get_queue(services: Services, transaction: TenantTransaction) -> Queue:
    """How many jobs of the tenant are not finished, and what decides when they run."""
    return Queue.of(await backlog(transaction), await workforce_of(transaction, services))
