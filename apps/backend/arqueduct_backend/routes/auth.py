"""Signing in and out, and one's own account."""

from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response

from arqueduct import metrics, passwords
from arqueduct.database import Driver
from arqueduct.errors import (
    DependencyUnavailable,
    Forbidden,
    InvalidCursor,
    InvalidRequest,
    NoSession,
    NotAuthenticated,
    NotFound,
    RefreshTokenReused,
    ResetUnknown,
    SessionOver,
    WeakPassword,
    WrongCredentials,
    WrongPassword,
)
from arqueduct.identity import Identity, key_hash
from arqueduct.permissions import Permission
from arqueduct.repositories import sessions
from arqueduct_backend import account, cursors, signing_in
from arqueduct_backend.access import Acting, Acts, in_session, needs
from arqueduct_backend.budgets import sign_in_budget
from arqueduct_backend.dependencies import Caller, Services, TenantTransaction, known
from arqueduct_backend.idempotency import always
from arqueduct_backend.live.rechecking import ask_to_recheck
from arqueduct_backend.pages import Cursor, Limit, page_of
from arqueduct_backend.problems import answers
from arqueduct_backend.schemas import Page
from arqueduct_backend.state import State

__all__ = ["OPEN", "router"]

log = structlog.get_logger()

router = APIRouter(prefix="/auth", tags=["auth"], responses=answers(InvalidRequest, DependencyUnavailable))

OPEN: dict[str, Any] = {"security": []}
"""For routes that make out who somebody is: nobody has a key or a token yet."""


@router.post(
    "/login",
    response_model=account.SignedIn,
    responses=answers(WrongCredentials, Forbidden, NotFound),
    openapi_extra=OPEN,
)
async def login(asked: account.Login, request: Request, services: Services) -> account.SignedIn:
    """Starts a session. An unknown address and a wrong password get the same answer, after the same time."""
    await sign_in_budget(request, asked.email)
    async with services.database.transaction() as transaction:
        found = await sessions.candidate(transaction.driver, asked.email)
    is_right = await services.passwords.verify(asked.password.get_secret_value(), found.password_hash)
    if not is_right or found.user_id is None:
        metrics.sign_ins.labels("password", "refused").inc()
        await signing_in.note_failed_login(services, request, found, asked.tenant_id, WrongCredentials.code)
        raise WrongCredentials
    place = signing_in.chosen(found.places, asked.tenant_id)
    async with services.database.transaction(place.tenant_id) as transaction:
        if await sessions.held_password_hash(transaction.driver, found.user_id) != found.password_hash:
            raise WrongCredentials  # it was changed while it was compared, and its sessions ended without this one
        answer = await signing_in.started(
            services,
            request,
            transaction,
            user_id=found.user_id,
            places=found.places,
            place=place,
            method="password",
        )
    metrics.sign_ins.labels("password", "done").inc()
    return answer


@router.post(
    "/refresh",
    response_model=account.Tokens,
    responses=answers(SessionOver, RefreshTokenReused),
    openapi_extra=OPEN,
)
async def refresh(asked: account.RefreshRequest, request: Request, services: Services) -> account.Tokens:
    """Trades a refresh token for new tokens. One that was traded before was stolen: its session ends."""
    await services.budgets.stranger(request)
    next_token, next_expires = signing_in.next_token(services)
    presented = key_hash(asked.refresh_token.get_secret_value())
    async with services.database.transaction() as transaction:
        renewal = await sessions.renew(
            transaction.driver, presented, next_hash=key_hash(next_token), next_expires=next_expires
        )
        if renewal.verdict == "renewed":
            return await signing_in.renewed(services, request, transaction, renewal, next_token)
        refused = RefreshTokenReused() if renewal.verdict == "reused" else SessionOver()
        await signing_in.note_failed_renewal(request, transaction, renewal, refused.code)
    if renewal.verdict == "reused":
        metrics.refresh_tokens_reused.inc()
        log.warning("refresh token reused", session=str(renewal.session_id))
    raise refused


@router.post(
    "/logout",
    dependencies=[needs(Permission.SELF), in_session(), always()],
    status_code=204,
    responses=answers(NoSession),
)
async def logout(services: Services, acting: Acts) -> Response:
    """Ends the session that this access token belongs to, with its refresh tokens and live connections."""
    assert acting.identity.session_id is not None  # noqa: S101  # in_session
    await _end(services, acting, acting.identity.session_id, "logout")
    return Response(status_code=204)


@router.post(
    "/logout-everywhere",
    dependencies=[needs(Permission.SELF), in_session(), always()],
    response_model=account.Ended,
    responses=answers(NoSession),
)
async def logout_everywhere(services: Services, acting: Acts) -> account.Ended:
    """Ends all sessions of the caller, in every tenant, this one too. API keys stay."""
    mine = acting.identity
    async with services.database.transaction(mine.tenant_id) as transaction:
        await acting.stand(transaction)
        ended = await sessions.end_all(transaction.driver, mine.user_id, "everywhere")
        await acting.note(transaction, after={"ended": ended.get(mine.tenant_id, 0)})
        await acting.note_elsewhere(transaction, ended)
    await ask_to_recheck(services.bus, mine.user_id)
    return account.Ended(ended=sum(ended.values()))


@router.get("/me", dependencies=[needs(Permission.SELF)], response_model=account.Account)
async def get_me(transaction: TenantTransaction, caller: Caller) -> account.Account:
    """Who is calling, where, as what, and by which proof."""
    places = await sessions.places(transaction.driver, caller.user_id)
    here = next((place for place in places if place.tenant_id == caller.tenant_id), None)
    if here is None:  # lost his membership between the proof and now
        raise NotAuthenticated
    return account.Account(
        user=account.Person.of(await sessions.person(transaction.driver, caller.user_id)),
        tenant=account.TenantOfMine.of(here),
        permissions=sorted(caller.permissions),
        signed_in_by=await _proof(transaction.driver, caller),
    )


@router.post(
    "/password",
    # Nothing made of a password is kept but its argon2 hash.
    dependencies=[needs(Permission.SELF), in_session(), always()],
    status_code=204,
    responses=answers(NoSession, WrongPassword, WeakPassword),
)
async def change_password(
    asked: account.PasswordRequest, request: Request, services: Services, acting: Acts
) -> Response:
    """Chooses a new password. All other sessions of the caller end."""
    mine = acting.identity
    old, new = asked.old_password.get_secret_value(), asked.new_password.get_secret_value()
    async with services.database.transaction(mine.tenant_id) as transaction:
        person = await sessions.person(transaction.driver, mine.user_id)
        known_hash = await sessions.password_hash(transaction.driver, mine.user_id)
    await sign_in_budget(request, person["email"])  # the same one as that of logins
    if not await services.passwords.verify(old, known_hash):
        raise WrongPassword
    if new == old:
        raise WeakPassword("The new password is the old one.")
    passwords.check(new, person["email"])
    hashed = await services.passwords.hash(new)
    async with services.database.transaction(mine.tenant_id) as transaction:
        await acting.stand(transaction)
        if await sessions.held_password_hash(transaction.driver, mine.user_id) != known_hash:
            raise WrongPassword  # it was changed while it was compared
        ended = await sessions.set_password(transaction.driver, mine.user_id, hashed, but_not=mine.session_id)
        told = {"user_id": str(mine.user_id), "ended": ended.get(mine.tenant_id, 0)}
        await acting.note(transaction, after=told)
        await acting.note_elsewhere(transaction, ended)
    await ask_to_recheck(services.bus, mine.user_id)
    return Response(status_code=204)


@router.post(
    "/password/reset", status_code=204, responses=answers(ResetUnknown, WeakPassword, Forbidden), openapi_extra=OPEN
)
async def reset_password(asked: account.ResetRequest, request: Request, services: Services) -> Response:
    """Chooses a new password by a token that an administrator handed out. All sessions of its owner end."""
    await sign_in_budget(request)
    new = asked.new_password.get_secret_value()
    passwords.check(new)
    hashed = await services.passwords.hash(new)
    async with services.database.transaction() as transaction:
        presented = key_hash(asked.token.get_secret_value())
        user_id = await sessions.redeem_reset(transaction.driver, presented, hashed)
        if user_id is None:
            raise ResetUnknown
        place = signing_in.chosen(await sessions.places(transaction.driver, user_id), None)
        await sessions.enter(transaction.driver, place.tenant_id)
        passwords.check(new, (await sessions.person(transaction.driver, user_id))["email"])  # undoes it all
        owner = Identity(tenant_id=place.tenant_id, user_id=user_id, role=place.role)
        await Acting(request, known(request, owner)).note(transaction, after={"user_id": str(user_id)})
    await ask_to_recheck(services.bus, user_id)
    return Response(status_code=204)


@router.get(
    "/sessions",
    dependencies=[needs(Permission.SELF), in_session()],
    response_model=Page[account.SessionShown],
    responses=answers(InvalidCursor, NoSession),
)
async def list_sessions(
    transaction: TenantTransaction, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Page[account.SessionShown]:
    """Where the caller is signed in to this tenant, the newest first."""
    before = cursors.id_of("sessions", cursor)
    found = await sessions.page(transaction.driver, caller.user_id, limit=limit + 1, before=before)
    return page_of(
        found,
        limit,
        lambda row: account.SessionShown.of(row, caller.session_id),
        lambda last: cursors.of("sessions", last["id"]),
    )


@router.delete(
    "/sessions/{session_id}",
    dependencies=[needs(Permission.SELF), in_session()],
    status_code=204,
    responses=answers(NotFound, NoSession),
)
async def end_session(session_id: UUID, services: Services, acting: Acts) -> Response:
    """Ends a session of one's own in this tenant, with its refresh tokens and live connections."""
    await _end(services, acting, session_id, "ended")
    return Response(status_code=204)


async def _end(services: State, acting: Acting, session_id: UUID, why: str) -> None:
    """Raises `NotFound`."""
    mine = acting.identity
    async with services.database.transaction(mine.tenant_id) as transaction:
        await acting.stand(transaction)
        if not await sessions.end(transaction.driver, session_id, mine.user_id, why):
            raise NotFound
        await acting.note(transaction, before={"session_id": str(session_id)})
    await ask_to_recheck(services.bus, mine.user_id)


async def _proof(driver: Driver, caller: Identity) -> account.Proof:
    found = await sessions.session(driver, caller.session_id) if caller.session_id else None
    return account.Proof(
        method=found["method"] if found else "api_key",
        key_id=caller.key_id,
        session_id=caller.session_id,
        session_expires_at=found["expires_at"] if found else None,
    )
