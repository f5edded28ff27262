"""Signing in with the OpenID provider of this installation."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request

from arqueduct import metrics
from arqueduct.database import Transaction
from arqueduct.errors import (
    ArqueductError,
    DependencyUnavailable,
    Forbidden,
    InvalidRequest,
    InvitationNeeded,
    NotFound,
    SeveralInvitations,
    SignInRefused,
)
from arqueduct.ids import new_id
from arqueduct.repositories import sessions
from arqueduct.repositories.sessions import Invited, Place
from arqueduct_backend import account, signing_in
from arqueduct_backend.dependencies import Services
from arqueduct_backend.oidc import Outsider, Provider
from arqueduct_backend.problems import answers
from arqueduct_backend.routes.auth import OPEN
from arqueduct_backend.state import State

__all__ = ["router"]

router = APIRouter(prefix="/auth/oidc", tags=["auth"], responses=answers(NotFound, DependencyUnavailable))

MOST_NAMED = 5
"""Tenants in an answer."""


@router.get("/start", response_model=account.ProviderPage, openapi_extra=OPEN)
async def start_oidc(request: Request, services: Services) -> account.ProviderPage:
    """Where to send the browser. 404 if this installation has no provider."""
    await services.budgets.stranger(request)
    url, binding = await _provider(services).start()
    return account.ProviderPage(url=url, binding=binding)


@router.post(
    "/finish",
    response_model=account.SignedIn,
    responses=answers(SignInRefused, InvitationNeeded, SeveralInvitations, InvalidRequest),
    openapi_extra=OPEN,
)
async def finish_oidc(asked: account.ProviderAnswer, request: Request, services: Services) -> account.SignedIn:
    """Starts a session for somebody the provider knows: linked to an account already, or invited.

    With the `tenant_id` of a tenant that has invited his verified address he accepts its invitation.
    """
    await services.budgets.stranger(request)
    provider = _provider(services)
    try:
        outsider = await provider.finish(
            asked.code.get_secret_value(), state=asked.state, binding=asked.binding.get_secret_value()
        )
        async with services.database.transaction() as transaction:
            answer = await _let_in(services, request, transaction, outsider, asked.tenant_id)
    except ArqueductError:
        metrics.sign_ins.labels("oidc", "refused").inc()
        raise
    metrics.sign_ins.labels("oidc", "done").inc()
    return answer


async def _let_in(
    services: State, request: Request, transaction: Transaction, outsider: Outsider, wanted: UUID | None
) -> account.SignedIn:
    driver = transaction.driver
    user_id = await sessions.known_outside(driver, outsider.issuer, outsider.subject)
    places = await sessions.places(driver, user_id) if user_id else ()
    accepted = None
    if user_id is None or not _belongs(places, wanted):
        accepted = await _invitation(transaction, outsider, wanted, is_new=user_id is None)
    if accepted is not None:
        user_id = await _guest(transaction, outsider, accepted, user_id)
        places, wanted = await sessions.places(driver, user_id), accepted.tenant_id
    assert user_id is not None  # noqa: S101  # known, or a guest now
    place = signing_in.chosen(places, wanted)
    await sessions.enter(driver, place.tenant_id)
    return await signing_in.started(
        services,
        request,
        transaction,
        user_id=user_id,
        places=places,
        place=place,
        method="oidc",
        after={"accepted_invitation": True, "invitation_id": str(accepted.id)} if accepted else None,
    )


def _belongs(places: Sequence[Place], wanted: UUID | None) -> bool:
    return any(wanted in (None, place.tenant_id) for place in places)


async def _invitation(
    transaction: Transaction, outsider: Outsider, wanted: UUID | None, *, is_new: bool
) -> Invited | None:
    """The one that is meant: of the tenant that is asked for, or the only one. None: somebody who has an account has
    none. Raises `InvitationNeeded` for who has no account, and `SeveralInvitations`: anybody may invite any address,
    so which came first says nothing.
    """
    found = await sessions.invitations(transaction.driver, outsider.email) if outsider.email else ()
    meant = [one for one in found if wanted in (None, one.tenant_id)]
    if len(meant) > 1:
        tenants = ", ".join(f"{one.tenant_id} ({one.tenant})" for one in meant[:MOST_NAMED])
        raise SeveralInvitations(f"Tenants that invite this address: {tenants}.")
    if not meant and is_new:
        unverified = "The OpenID provider has verified no e-mail address of this person."
        raise InvitationNeeded(None if outsider.email else unverified)
    return meant[0] if meant else None


async def _guest(transaction: Transaction, outsider: Outsider, invited: Invited, known: UUID | None) -> UUID:
    """A member: the account that this person is linked to, or else a new one. An account that is there already is never
    taken over by its address: whoever can set addresses at the provider would be anybody here.

    Raises `InvitationNeeded` or `Forbidden`.
    """
    guest = known or new_id()
    user_id = await sessions.accept(transaction.driver, invited.id, guest, outsider.name)
    if user_id is None:
        raise InvitationNeeded
    if user_id != guest:
        raise Forbidden("There is another account with this address already. Sign in to it with its password.")
    if known is None:
        await sessions.link(transaction.driver, outsider.issuer, outsider.subject, user_id)
    return user_id


def _provider(services: State) -> Provider:
    if services.provider is None:
        raise NotFound("This installation has no OpenID provider.")
    return services.provider
