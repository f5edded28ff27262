"""Members of the tenant: who they are, what they may do, and when they stop being members."""

import secrets
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from arqueduct.errors import (
    DependencyUnavailable,
    InvalidCursor,
    InvalidRequest,
    LastOwner,
    NotAuthenticated,
    NotFound,
    NotThisMember,
)
from arqueduct.identity import key_hash
from arqueduct.permissions import Permission, Role, check
from arqueduct.repositories import members
from arqueduct_backend import cursors
from arqueduct_backend.access import Acts, needs
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction
from arqueduct_backend.idempotency import once
from arqueduct_backend.live.rechecking import ask_to_recheck
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.people import (
    Member,
    PasswordResetMade,
    RoleChange,
    ServiceAccountAsked,
    ServiceAccountMade,
)
from arqueduct_backend.problems import answers
from arqueduct_backend.ranks import check_covers
from arqueduct_backend.schemas import Page

__all__ = ["router"]

router = APIRouter(tags=["members"], responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable))

RESET_BYTES = 32
RESET_PREFIX = "aq_reset_"
"""Begins as API keys do, so that what hides those in logs hides these too."""


@router.get(
    "/members",
    dependencies=[needs(Permission.MEMBERS_READ)],
    response_model=Page[Member],
    responses=answers(InvalidCursor),
)
async def list_members(
    transaction: TenantTransaction, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Page[Member]:
    """People and service accounts, those whose account is the newest first."""
    before = cursors.id_of("members", cursor)
    found = await members.page(transaction.driver, caller.tenant_id, limit=limit + 1, before=before)
    return page_of(found, limit, Member.of, lambda last: cursors.of("members", last["user_id"]))


@router.patch(
    "/members/{user_id}",
    dependencies=[needs(Permission.MEMBERS_WRITE)],
    response_model=Member,
    responses=answers(NotFound, LastOwner, NotThisMember),
)
async def change_member(user_id: UUID, change: RoleChange, services: Services, acting: Acts) -> Member:
    """Gives a member another role, from his next request on. Nobody gives what he may not do himself.

    Invitations that he sent and could not send any more are revoked.
    """
    caller, role = acting.identity, Role(change.role)
    async with services.database.transaction(caller.tenant_id) as transaction:
        held = await members.hold(transaction.driver, caller.tenant_id, user_id)
        if Role.OWNER in (role, held.role):
            check(caller.permissions, Permission.OWNERS_WRITE)
        check_covers(caller, role)
        if held.role is Role.SERVICE:
            raise NotThisMember("A service account keeps its role.")
        revoked = await members.set_role(transaction.driver, held, role)
        await acting.note(
            transaction,
            before={"user_id": str(user_id), "role": held.role, "invitation_ids": [str(one) for one in revoked]},
            after={"user_id": str(user_id), "role": role},
        )
        return Member.of(await members.find(transaction.driver, caller.tenant_id, user_id))


@router.delete(
    "/members/{user_id}",
    dependencies=[needs(Permission.MEMBERS_WRITE)],
    status_code=204,
    responses=answers(NotFound, LastOwner),
)
async def remove_member(user_id: UUID, services: Services, acting: Acts) -> Response:
    """Ends the membership with its sessions, its keys and the invitations it sent. What the member made stays."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        held = await members.hold(transaction.driver, caller.tenant_id, user_id)
        if held.role is Role.OWNER:
            check(caller.permissions, Permission.OWNERS_WRITE)
        ended = await members.remove(transaction.driver, held)
        await acting.note(transaction, before={"user_id": str(user_id), "role": held.role, **ended})
    await ask_to_recheck(services.bus, user_id)
    return Response(status_code=204)


@router.post(
    "/members/{user_id}/password-reset",
    dependencies=[needs(Permission.MEMBERS_WRITE), once(keeps_answer=False)],
    status_code=201,
    response_model=PasswordResetMade,
    responses=answers(NotFound, NotThisMember),
)
async def offer_password_reset(user_id: UUID, services: Services, acting: Acts) -> PasswordResetMade:
    """Makes a token with which a member chooses a new password, once; hand it to him and to nobody else.

    Refused for members who may do what the caller may not: whoever has the token can become the member.
    """
    caller = acting.identity
    token = f"{RESET_PREFIX}{secrets.token_urlsafe(RESET_BYTES)}"
    lasts = timedelta(hours=services.settings.reset_hours)
    async with services.database.transaction(caller.tenant_id) as transaction:
        held = await members.hold(transaction.driver, caller.tenant_id, user_id)
        check_covers(caller, held.role)
        if held.role is Role.SERVICE:
            raise NotThisMember("A service account has no password; make it a key.")
        expires_at = await members.offer_reset(
            transaction.driver, user_id, key_hash(token), lasts, offered_by=caller.user_id
        )
        if expires_at is None:
            raise NotThisMember("This member belongs to other tenants too, whose password it is as well.")
        await acting.note(transaction, after={"user_id": str(user_id)})
    return PasswordResetMade(token=token, expires_at=expires_at)


@router.post(
    "/service-accounts",
    dependencies=[needs(Permission.MEMBERS_WRITE)],
    status_code=201,
    response_model=ServiceAccountMade,
)
async def create_service_account(asked: ServiceAccountAsked, services: Services, acting: Acts) -> ServiceAccountMade:
    """Makes a member for a program: it cannot sign in, and works with the keys that `POST /keys` makes for it."""
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        user_id = await members.add_service(transaction.driver, asked.name)
        await acting.note(transaction, after={"user_id": str(user_id), "role": Role.SERVICE})
    return ServiceAccountMade(user_id=user_id, name=asked.name)
