"""What leaves by itself when it is old, and what the storage holds."""

from uuid import UUID

from fastapi import APIRouter, Response

from arqueduct.errors import NotFound, QuotaExceeded, UpkeepUnderWay
from arqueduct.lifecycle import Priority
from arqueduct.permissions import Permission
from arqueduct.repositories import upkeep
from arqueduct.repositories.holdings import holdings
from arqueduct.repositories.upkeep import OPTIMISE, RETENTION
from arqueduct_backend import schemas
from arqueduct_backend.access import Acting, Acts, needs
from arqueduct_backend.dependencies import Services, TenantTransaction
from arqueduct_backend.errands import check_quota, queue
from arqueduct_backend.problems import answers
from arqueduct_backend.state import State
from arqueduct_backend.upkeep_schemas import Retention, RetentionAsked, RunAsked, StorageShown, UpkeepRunShown

__all__ = ["router"]

router = APIRouter(tags=["upkeep"])

BEGUN = answers(UpkeepUnderWay, QuotaExceeded)


@router.get("/retention", dependencies=[needs(Permission.UPKEEP_READ)], response_model=Retention)
async def get_retention(transaction: TenantTransaction) -> Retention:
    """The policies of the tenant; none: everything stays, but what the operator's settings say of finished jobs."""
    return Retention.of(await upkeep.policies(transaction.driver))


@router.put("/retention", dependencies=[needs(Permission.UPKEEP_WRITE)], response_model=Retention)
async def set_retention(asked: RetentionAsked, transaction: TenantTransaction, acting: Acts) -> Retention:
    """Replaces all policies. Nothing leaves before the next daily run: try them with a dry run first."""
    caller = acting.identity
    before = Retention.of(await upkeep.policies(transaction.driver))
    await acting.note(transaction, before=before.model_dump(mode="json"), after=asked.model_dump(mode="json"))
    await upkeep.put_policies(transaction.driver, caller.tenant_id, caller.user_id, asked.wanted)
    return Retention.of(await upkeep.policies(transaction.driver))


@router.post(
    "/retention/run",
    dependencies=[needs(Permission.UPKEEP_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=BEGUN,
)
async def run_retention(asked: RunAsked, response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Queues a run; a dry one unless `dry_run` is false. Its report is at `/upkeep/runs/{job_id}`."""
    return await _begin(services, acting, response, RETENTION, is_dry=asked.dry_run)


@router.get("/storage", dependencies=[needs(Permission.UPKEEP_READ)], response_model=StorageShown)
async def get_storage(transaction: TenantTransaction) -> StorageShown:
    """What the tenant's documents are, and what their files take."""
    found = await holdings(transaction.driver)
    last = await upkeep.last_report(transaction.driver, OPTIMISE)
    return StorageShown.model_validate(
        {
            **found,
            "texts_bytes": last["report"]["measured"]["texts"]["bytes"] if last else None,
            "measured_at": last["updated_at"] if last else None,
        }
    )


@router.post(
    "/storage/optimise",
    dependencies=[needs(Permission.UPKEEP_WRITE)],
    status_code=202,
    response_model=schemas.Job,
    responses=BEGUN,
)
async def optimise_storage(response: Response, services: Services, acting: Acts) -> schemas.Job:
    """Queues a run that frees what nobody can ask for any more. Its report is at `/upkeep/runs/{job_id}`."""
    return await _begin(services, acting, response, OPTIMISE, is_dry=False)


@router.get(
    "/upkeep/runs/{run_id}",
    dependencies=[needs(Permission.UPKEEP_READ)],
    response_model=UpkeepRunShown,
    responses=answers(NotFound),
)
async def get_upkeep_run(run_id: UUID, transaction: TenantTransaction) -> UpkeepRunShown:
    """What a run did so far, or would do: per target how many, how many bytes, and some ids. `run_id` is its job's."""
    found = await upkeep.run(transaction.driver, run_id)
    if found is None:
        raise NotFound
    return UpkeepRunShown.of(found)


async def _begin(services: State, acting: Acting, response: Response, kind: str, *, is_dry: bool) -> schemas.Job:
    tenant_id = acting.identity.tenant_id
    async with services.database.transaction(tenant_id) as transaction:
        await check_quota(transaction, acting)
        await upkeep.new_run(transaction.driver, tenant_id, kind, is_dry=is_dry)
        job, answer, created = await queue(
            services,
            transaction,
            acting,
            response,
            kind,
            payload={"dry_run": is_dry},
            priority=Priority.INTERACTIVE if is_dry else Priority.BULK,
        )
        await upkeep.add_run(transaction.driver, tenant_id, job.id, kind, is_dry=is_dry)
        await acting.note(transaction, after={"job_id": str(job.id), "dry_run": is_dry})
        await acting.keep(transaction, answer, response)
    await services.dispatcher.dispatch(created)
    return answer
