"""What every way of signing in has in common: choosing the tenant, starting the session, writing it down."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from starlette.requests import HTTPConnection

from arqueduct import metrics
from arqueduct.database import Transaction
from arqueduct.errors import Forbidden, NotFound
from arqueduct.identity import Identity, key_hash
from arqueduct.ids import new_id
from arqueduct.repositories import audit, sessions
from arqueduct.repositories.audit import Actor
from arqueduct.repositories.invitations import Guest
from arqueduct.repositories.sessions import Candidate, NewSession, Place, Renewal
from arqueduct.tokens import new_refresh_token
from arqueduct_backend.access import Acting, actor_of
from arqueduct_backend.account import Method, Person, SignedIn, TenantOfMine, Tokens
from arqueduct_backend.dependencies import known
from arqueduct_backend.problems import NOTED
from arqueduct_backend.state import State

__all__ = [
    "chosen",
    "next_token",
    "note_failed_acceptance",
    "note_failed_login",
    "note_failed_renewal",
    "renewed",
    "started",
]

log = structlog.get_logger()


def chosen(places: Sequence[Place], wanted: UUID | None) -> Place:
    """The tenant to sign in to. Raises `NotFound` for one he does not belong to, `Forbidden` if there is none at all.

    Only for somebody who has proved who he is.
    """
    if not places:
        raise Forbidden("This account belongs to no tenant (any more). Ask for an invitation.")
    for place in places:
        if wanted in (None, place.tenant_id):
            return place
    raise NotFound("This account does not belong to a tenant with this id.")


async def started(
    services: State,
    connection: HTTPConnection,
    transaction: Transaction,
    *,
    user_id: UUID,
    places: Sequence[Place],
    place: Place,
    method: Method,
    after: Mapping[str, Any] | None = None,
) -> SignedIn:
    """A new session, in a transaction of its tenant; `after` goes to the audit log with it."""
    now = datetime.now(UTC)
    settings, driver = services.settings, transaction.driver
    refresh_token = new_refresh_token()
    session = NewSession(
        id=new_id(),
        tenant_id=place.tenant_id,
        user_id=user_id,
        expires_at=now + timedelta(days=settings.session_days),
        method=method,
        address=actor_of(connection, None).address,
        user_agent=actor_of(connection, None).user_agent,
        token_hash=key_hash(refresh_token),
        token_expires_at=now + timedelta(days=min(settings.session_days, settings.session_idle_days)),
    )
    await sessions.start(driver, session)
    caller = Identity(tenant_id=place.tenant_id, user_id=user_id, role=place.role, session_id=session.id)
    acting = Acting(connection, known(connection, caller))
    await acting.note(transaction, after={"session_id": str(session.id), "method": method, **(after or {})})
    person = Person.of(await sessions.person(driver, user_id))
    tokens = _tokens(services, caller, refresh_token, session.expires_at)
    log.info("signed in", session=str(session.id), method=method)
    return SignedIn(
        **dict(tokens),
        user=person,
        tenant=TenantOfMine.of(place),
        other_tenants=[TenantOfMine.of(other) for other in places if other is not place],
    )


def next_token(services: State) -> tuple[str, datetime]:
    """The refresh token that a renewal brings, and until when it is good if its session is."""
    return new_refresh_token(), datetime.now(UTC) + timedelta(days=services.settings.session_idle_days)


async def renewed(
    services: State, connection: HTTPConnection, transaction: Transaction, renewal: Renewal, refresh_token: str
) -> Tokens:
    """The next access token of a session, in the transaction that renewed it."""
    assert renewal.tenant_id is not None  # noqa: S101  # only an unknown token has no session
    assert renewal.session_id is not None  # noqa: S101
    await sessions.enter(transaction.driver, renewal.tenant_id)
    found, until = await sessions.standing(transaction.driver, renewal.session_id)
    await Acting(connection, known(connection, found)).note(transaction)
    return _tokens(services, found, refresh_token, until)


async def note_failed_renewal(
    connection: HTTPConnection, transaction: Transaction, renewal: Renewal, code: str
) -> None:
    """Whose session it was; a token that nobody knows is written down as every other stranger."""
    if renewal.tenant_id is None:
        return
    await sessions.enter(transaction.driver, renewal.tenant_id)
    actor = replace(
        actor_of(connection, None),
        tenant_id=renewal.tenant_id,
        user_id=renewal.user_id,
        session_id=renewal.session_id,
    )
    await audit.add(transaction.driver, actor, "denied", code=code)
    connection.scope[NOTED] = True


async def note_failed_login(
    services: State, connection: HTTPConnection, candidate: Candidate, wanted: UUID | None, code: str
) -> None:
    """One line, for the tenant if the address is known. The same work for both, so that time tells nothing."""
    there = [place.tenant_id for place in candidate.places]
    tenant_id = wanted if wanted in there else (there[0] if there else None)
    guessed = replace(actor_of(connection, None), tenant_id=tenant_id, user_id=candidate.user_id if tenant_id else None)
    await _note(services, connection, [guessed], code)


async def note_failed_acceptance(services: State, connection: HTTPConnection, guest: Guest, code: str) -> None:
    """Somebody with an invitation did not know the password of who has its address: a line in a tenant of that person,
    as of a failed login, and one in the tenant that invites, which is not told who it is.
    """
    assert guest.user_id is not None  # noqa: S101  # else there is no password to guess
    async with services.database.transaction() as transaction:
        places = await sessions.places(transaction.driver, guest.user_id)
    invited = replace(actor_of(connection, None), tenant_id=guest.tenant_id)
    elsewhere = [place.tenant_id for place in places if place.tenant_id != guest.tenant_id]
    guessed = [replace(invited, tenant_id=tenant_id, user_id=guest.user_id) for tenant_id in elsewhere[:1]]
    await _note(services, connection, [*guessed, invited], code)


async def _note(services: State, connection: HTTPConnection, actors: Sequence[Actor], code: str) -> None:
    """The same refusal, for each tenant that it concerns."""
    connection.scope[NOTED] = True
    first = actors[0]
    if not services.guesses.takes(first.address or "", first.tenant_id):
        metrics.audit_dropped.inc()
        return
    for actor in actors:
        async with services.database.transaction(actor.tenant_id) as transaction:
            await audit.add(transaction.driver, actor, "denied", code=code)


def _tokens(services: State, caller: Identity, refresh_token: str, until: datetime) -> Tokens:
    assert caller.session_id is not None  # noqa: S101  # it was just started or renewed
    access_token, expires_in = services.access_tokens.issue(
        user_id=caller.user_id,
        session_id=caller.session_id,
        tenant_id=caller.tenant_id,
        until=until.timestamp(),
    )
    return Tokens(
        access_token=access_token,
        expires_in=expires_in,
        refresh_token=refresh_token,
        session_id=caller.session_id,
    )
