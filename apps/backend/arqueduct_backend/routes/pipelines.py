"""Pipelines: what the workers have installed."""

from fastapi import APIRouter

from arqueduct.errors import NoWorkerYet
from arqueduct.permissions import Permission
from arqueduct.repositories import installations
from arqueduct_backend.access import needs
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.problems import answers
from arqueduct_backend.profile_schemas import Pipelines

__all__ = ["router"]

router = APIRouter(prefix="/pipelines", tags=["profiles"])


@router.get(
    "", dependencies=[needs(Permission.DOCUMENTS_READ)], response_model=Pipelines, responses=answers(NoWorkerYet)
)
async def list_pipelines(transaction: TenantTransaction, services: Services) -> Pipelines:
    """Pipelines that a profile can name, the stages of each, and the options of each stage as a JSON schema."""
    found = await installations.installed(transaction.driver, alive=services.settings.alive_time)
    return Pipelines.of(found, services.embedder.model.name)
