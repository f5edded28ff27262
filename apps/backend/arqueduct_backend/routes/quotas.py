"""How much there is, and how much there may be."""

from uuid import UUID

from fastapi import APIRouter

from arqueduct.errors import NotFound
from arqueduct.permissions import Permission
from arqueduct.repositories import quotas
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Caller, TenantTransaction
from arqueduct_backend.problems import answers
from arqueduct_backend.upkeep_schemas import QuotasShown, UsageOf, UsageShown, UserQuotaAsked

__all__ = ["router"]

router = APIRouter(tags=["upkeep"])


@router.get("/usage", dependencies=[needs(Permission.DOCUMENTS_READ)], response_model=UsageShown)
async def get_usage(transaction: TenantTransaction, caller: Caller) -> UsageShown:
    """What the tenant and the caller have, and may have."""
    driver, tenant_id, user_id = transaction.driver, caller.tenant_id, caller.user_id
    return UsageShown(
        tenant=UsageOf.of(await quotas.used(driver, tenant_id), await quotas.of_tenant(driver, tenant_id)),
        user=UsageOf.of(
            await quotas.used(driver, tenant_id, user_id), await quotas.of_user(driver, tenant_id, user_id)
        ),
    )


@router.get("/quotas", dependencies=[needs(Permission.UPKEEP_READ)], response_model=QuotasShown)
async def get_quotas(transaction: TenantTransaction, caller: Caller) -> QuotasShown:
    """The tenant's, which who runs the installation sets; the default of its users; and those of single users."""
    return QuotasShown.of(await quotas.quotas(transaction.driver, caller.tenant_id))


@router.put("/quotas/users", dependencies=[needs(Permission.UPKEEP_WRITE)], response_model=QuotasShown)
async def set_default_quota(asked: UserQuotaAsked, transaction: TenantTransaction, acting: Acts) -> QuotasShown:
    """What each user may have that has no quota of its own. Nothing that is there already is taken away."""
    tenant_id = acting.identity.tenant_id
    await acting.note(transaction, after=asked.model_dump())
    await quotas.set_default(transaction.driver, tenant_id, asked.limits)
    return QuotasShown.of(await quotas.quotas(transaction.driver, tenant_id))


@router.put(
    "/quotas/users/{user_id}",
    dependencies=[needs(Permission.UPKEEP_WRITE)],
    response_model=QuotasShown,
    responses=answers(NotFound),
)
async def set_user_quota(
    user_id: UUID, asked: UserQuotaAsked, transaction: TenantTransaction, acting: Acts
) -> QuotasShown:
    """What one user may have, in place of the whole default."""
    return await _set(transaction, acting, user_id, asked)


@router.delete(
    "/quotas/users/{user_id}",
    dependencies=[needs(Permission.UPKEEP_WRITE)],
    response_model=QuotasShown,
    responses=answers(NotFound),
)
async def remove_user_quota(user_id: UUID, transaction: TenantTransaction, acting: Acts) -> QuotasShown:
    """The default counts again for this user."""
    return await _set(transaction, acting, user_id, None)


async def _set(
    transaction: TenantTransaction, acting: Acts, user_id: UUID, asked: UserQuotaAsked | None
) -> QuotasShown:
    tenant_id = acting.identity.tenant_id
    await acting.note(transaction, after={"user_id": str(user_id), "quota": asked.model_dump() if asked else None})
    limits = asked.limits if asked else None
    if not await quotas.set_of_user(transaction.driver, tenant_id, user_id, limits):
        raise NotFound
    return QuotasShown.of(await quotas.quotas(transaction.driver, tenant_id))
