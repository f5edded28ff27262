"""The tenant itself: what it is called."""

import asyncpg
from fastapi import APIRouter, Response

from arqueduct.errors import DependencyUnavailable, InvalidRequest, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct.repositories import members
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.etags import NOT_MODIFIED, IfMatch, IfNoneMatch, check, etag_of, is_known, not_modified
from arqueduct_backend.people import TenantChange, TenantShown
from arqueduct_backend.problems import answers

__all__ = ["router"]

router = APIRouter(
    prefix="/tenant",
    tags=["tenant"],
    responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable),
)


@router.get("", dependencies=[needs(Permission.SELF)], response_model=TenantShown, responses=NOT_MODIFIED)
async def get_tenant(
    response: Response, transaction: TenantTransaction, caller: Caller, if_none_match: IfNoneMatch = None
) -> TenantShown | Response:
    """The tenant of the caller."""
    found = await members.tenant(transaction.driver, caller.tenant_id)
    if is_known(_tag(found), if_none_match):
        return not_modified(_tag(found))
    response.headers["ETag"] = _tag(found)
    return TenantShown.of(found)


@router.patch("", dependencies=[needs(Permission.TENANT_WRITE)], response_model=TenantShown)
async def change_tenant(
    change: TenantChange, response: Response, services: Services, acting: Acts, if_match: IfMatch = None
) -> TenantShown:
    """Gives it another name."""
    tenant_id = acting.identity.tenant_id
    async with services.database.transaction(tenant_id) as transaction:
        check(_tag(await members.tenant(transaction.driver, tenant_id, locked=True)), if_match)
        await members.rename_tenant(transaction.driver, tenant_id, change.name)
        await acting.note(transaction, after={"tenant_id": str(tenant_id), "changed": ["name"]})
        renamed = await members.tenant(transaction.driver, tenant_id)
    response.headers["ETag"] = _tag(renamed)
    return TenantShown.of(renamed)


def _tag(tenant: asyncpg.Record) -> str:
    return etag_of(tenant["id"], tenant["name"])
