"""Signing in with the OpenID provider of this installation."""

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
    SignInRefused,
)
from arqueduct.ids import new_id
from arqueduct.repositories import sessions
from arqueduct_backend import account, signing_in
from arqueduct_backend.dependencies import Services
from arqueduct_backend.oidc import Outsider, Provider
from arqueduct_backend.problems import answers
from arqueduct_backend.routes.auth import OPEN
from arqueduct_backend.state import State

__all__ = ["router"]

router = APIRouter(prefix="/auth/oidc", tags=["auth"], responses=answers(NotFound, DependencyUnavailable))


@router.get("/start", response_model=account.ProviderPage, openapi_extra=OPEN)
async def start_oidc(request: Request, services: Services) -> account.ProviderPage:
    """Where to send the browser. 404 if this installation has no provider."""
    await services.budgets.stranger(request)
    url, binding = await _provider(services).start()
    return account.ProviderPage(url=url, binding=binding)


@router.post(
    "/finish",
    response_model=account.SignedIn,
    responses=answers(SignInRefused, InvitationNeeded, InvalidRequest),
    openapi_extra=OPEN,
)
async def finish_oidc(asked: account.ProviderAnswer, request: Request, services: Services) -> account.SignedIn:
    """Starts a session for somebody the provider knows: linked to an account already, or invited."""
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
    is_new = user_id is None
    if user_id is None:
        user_id = await _guest(transaction, outsider)
    places = await sessions.places(driver, user_id)
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
        after={"accepted_invitation": True} if is_new else None,
    )


async def _guest(transaction: Transaction, outsider: Outsider) -> UUID:
    """A new account for who was invited. An account that is there already is never taken over by its address: whoever
    can set addresses at the provider would be anybody here. Raises `InvitationNeeded` or `Forbidden`.
    """
    if outsider.email is None:
        raise InvitationNeeded("The OpenID provider has verified no e-mail address of this person.")
    new_user = new_id()
    user_id = await sessions.invited(transaction.driver, outsider.email, new_user, outsider.name)
    if user_id is None:
        raise InvitationNeeded
    if user_id != new_user:
        raise Forbidden("There is an account with this address already. Sign in to it with its password.")
    await sessions.link(transaction.driver, outsider.issuer, outsider.subject, user_id)
    return user_id


def _provider(services: State) -> Provider:
    if services.provider is None:
        raise NotFound("This installation has no OpenID provider.")
    return services.provider
