"""Invitations: how somebody becomes a member."""

import secrets
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response

from arqueduct import passwords
from arqueduct.errors import (
    AlreadyMember,
    DependencyUnavailable,
    InvalidCursor,
    InvalidRequest,
    InvitationNotOpen,
    NotAuthenticated,
    NotFound,
    RateLimited,
    WeakPassword,
    WrongCredentials,
)
from arqueduct.identity import Identity, key_hash
from arqueduct.ids import new_id
from arqueduct.permissions import Permission, Role
from arqueduct.repositories import invitations, sessions
from arqueduct.repositories.invitations import Guest
from arqueduct_backend import cursors, signing_in
from arqueduct_backend.access import Acting, Acts, needs
from arqueduct_backend.budgets import sign_in_budget
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction, known
from arqueduct_backend.idempotency import once
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.people import (
    Acceptance,
    InvitationAccepted,
    InvitationAsked,
    InvitationMade,
    InvitationShown,
)
from arqueduct_backend.problems import answers
from arqueduct_backend.ranks import check_covers
from arqueduct_backend.schemas import Page
from arqueduct_backend.state import State

__all__ = ["router"]

router = APIRouter(tags=["invitations"], responses=answers(NotAuthenticated, InvalidRequest, DependencyUnavailable))

TOKEN_BYTES = 32
PREFIX = "aq_invitation_"
"""Begins as API keys do, so that what hides those in logs hides these too."""
TRIES = 2
"""The second finds the user that somebody else's acceptance made while the first hashed the password."""


@router.post(
    "/invitations",
    dependencies=[needs(Permission.MEMBERS_WRITE), once(keeps_answer=False)],
    status_code=201,
    response_model=InvitationMade,
    responses=answers(AlreadyMember),
)
async def create_invitation(asked: InvitationAsked, services: Services, acting: Acts) -> InvitationMade:
    """Makes a token that makes whoever has it a member; hand it to whom it is for.

    One that is open for the same address is revoked. Nobody invites to a role that may do what he may not.
    """
    caller, role = acting.identity, Role(asked.role)
    check_covers(caller, role)
    token = f"{PREFIX}{secrets.token_urlsafe(TOKEN_BYTES)}"
    async with services.database.transaction(caller.tenant_id) as transaction:
        await acting.stand(transaction)  # also before a role is handed out that he could have lost
        made = await invitations.add(
            transaction.driver,
            caller.tenant_id,
            asked.email,
            role,
            invited_by=caller.user_id,
            token_hash=key_hash(token),
            lasts=timedelta(days=services.settings.invitation_days),
        )
        await acting.note(transaction, after={"invitation_id": str(made["id"]), "role": role})
    return InvitationMade(invitation=InvitationShown.of(made), token=token)


@router.get(
    "/invitations",
    dependencies=[needs(Permission.MEMBERS_WRITE)],
    response_model=Page[InvitationShown],
    responses=answers(InvalidCursor),
)
async def list_invitations(
    transaction: TenantTransaction, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Page[InvitationShown]:
    """The newest first; also those that are open no more."""
    before = cursors.id_of("invitations", cursor)
    found = await invitations.page(transaction.driver, caller.tenant_id, limit=limit + 1, before=before)
    return page_of(found, limit, InvitationShown.of, lambda last: cursors.of("invitations", last["id"]))


@router.delete(
    "/invitations/{invitation_id}",
    dependencies=[needs(Permission.MEMBERS_WRITE)],
    status_code=204,
    responses=answers(NotFound),
)
async def revoke_invitation(invitation_id: UUID, services: Services, acting: Acts) -> Response:
    """Voids its token. One that was accepted or revoked before is not found."""
    caller = acting.identity
    async with services.database.transaction(caller.tenant_id) as transaction:
        await acting.stand(transaction)
        await invitations.revoke(transaction.driver, caller.tenant_id, invitation_id)
        await acting.note(transaction, before={"invitation_id": str(invitation_id)})
    return Response(status_code=204)


@router.post(
    "/auth/invitations/accept",
    status_code=201,
    response_model=InvitationAccepted,
    responses=answers(InvitationNotOpen, WrongCredentials, WeakPassword, RateLimited),
    openapi_extra={"security": []},
)
async def accept_invitation(acceptance: Acceptance, request: Request, services: Services) -> InvitationAccepted:
    """Makes whoever has the token a member; then he signs in. Needs no key.

    For an address that nobody has yet the password becomes that of a new user. A user who is there already proves with
    his password that the invitation is his; one that is too weak by now he changes first.
    """
    await services.budgets.stranger(request)
    hashed_token = key_hash(acceptance.token.get_secret_value())
    for _ in range(TRIES):
        async with services.database.transaction() as transaction:
            guest = await invitations.find_open(transaction.driver, hashed_token)
        # Who invites an address gets its token too: without this he could guess at the password of its user. It is
        # charged where nobody has the address too, or what is left of it would tell.
        await sign_in_budget(request, guest.email)
        hashed = await _proved(services, request, guest, acceptance.password.get_secret_value())
        identity = await _enter(request, services, guest, acceptance.name, hashed)
        if identity is not None:
            return InvitationAccepted(user_id=identity.user_id, tenant_id=identity.tenant_id)
    raise InvitationNotOpen


async def _proved(services: State, request: Request, guest: Guest, password: str) -> str:
    """The hash of a new user's password; of nothing, where the guest has proved to be the user who is there already.

    Raises `WeakPassword`, whoever has the address: it must not tell whether somebody has. Raises `WrongCredentials`.
    """
    passwords.check(password, guest.email)
    if guest.user_id is None:
        return await services.passwords.hash(password)
    if not await services.passwords.verify(password, guest.password_hash):
        await signing_in.note_failed_acceptance(services, request, guest, WrongCredentials.code)
        raise WrongCredentials(
            "This address has an account already, and this is not its password. An account without a password accepts "
            "by signing in with the OpenID provider and the `tenant_id` of the tenant that invites."
        )
    return ""


async def _enter(request: Request, services: State, guest: Guest, name: str | None, hashed: str) -> Identity | None:
    """The new member. None: somebody else took the address meanwhile, or the password is another now; nothing is
    done.
    """
    new_user = guest.user_id or new_id()
    identity = Identity(tenant_id=guest.tenant_id, user_id=new_user, role=guest.role)
    try:
        async with services.database.transaction(guest.tenant_id) as transaction:
            if guest.user_id is not None:
                proved = await sessions.held_password_hash(transaction.driver, guest.user_id)
                if proved != guest.password_hash:
                    raise _Overtaken
            if not await invitations.accept(transaction.driver, guest, new_user=new_user, name=name, hashed=hashed):
                raise _Overtaken
            acting = Acting(request, identity)
            told = {"invitation_id": str(guest.invitation_id), "user_id": str(new_user), "role": guest.role}
            await acting.note(transaction, after=told)
    except _Overtaken:
        return None
    return known(request, identity)


class _Overtaken(Exception):
    """Rolls back."""
