"""People who sign in: whom an address belongs to, their sessions, and the tokens that renew these.

Who somebody is must be known before a tenant is, so much of this calls functions of the database that see past
row-level security; what each may do is in sql/versions/0004_access.up.sql and 0006_guards.up.sql.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.errors import SessionOver
from arqueduct.identity import Identity
from arqueduct.tokens import Claims

__all__ = [
    "Candidate",
    "Invited",
    "NewSession",
    "Place",
    "Renewal",
    "accept",
    "candidate",
    "end",
    "end_all",
    "enter",
    "held_password_hash",
    "identity",
    "invitations",
    "known_outside",
    "link",
    "page",
    "password_hash",
    "person",
    "places",
    "redeem_reset",
    "renew",
    "session",
    "set_password",
    "standing",
    "start",
]

Verdict: TypeAlias = Literal["renewed", "reused", "over", "unknown"]

_NOBODY = UUID(int=0)

_CANDIDATE = """
    WITH found AS MATERIALIZED (SELECT * FROM credentials_of($1))
    SELECT (SELECT user_id FROM found) AS user_id, (SELECT password_hash FROM found) AS password_hash,
        t.tenant_id, t.name, t.role
    FROM (SELECT) AS once LEFT JOIN tenants_of(coalesce((SELECT user_id FROM found), $2)) t ON true
"""

_START = """
    INSERT INTO sessions (id, tenant_id, user_id, expires_at, method, address, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_RENEWABLE = """
    INSERT INTO refresh_tokens (token_hash, session_id, tenant_id, expires_at) VALUES ($1, $2, $3, $4)
"""
_END = """
    UPDATE sessions SET ended_at = now(), ended_why = $3
    WHERE id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > now() RETURNING id
"""
_PAGE = """
    SELECT id, created_at, renewed_at, expires_at, method, address, user_agent FROM sessions
    WHERE user_id = $1 AND ended_at IS NULL AND expires_at > now() AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC LIMIT $3
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tenant that somebody belongs to."""

    tenant_id: UUID
    name: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Whose password is to be compared; nobody's, if the address is not known."""

    user_id: UUID | None
    password_hash: str | None
    places: Sequence[Place]
    """The oldest membership first."""


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session with its first refresh token."""

    id: UUID
    tenant_id: UUID
    user_id: UUID
    expires_at: datetime
    method: str
    address: str | None
    user_agent: str | None
    token_hash: bytes
    token_expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What became of a refresh token; the ids are those of its session, none if nobody knows it."""

    verdict: Verdict
    session_id: UUID | None
    tenant_id: UUID | None
    user_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class Invited:
    """An open invitation, and to where."""

    id: UUID
    tenant_id: UUID
    tenant: str


async def candidate(driver: Driver, email: str) -> Candidate:
    """Asks the same of the database whether the address is known or not."""
    rows = await driver.fetch(_CANDIDATE, email, _NOBODY)
    first = rows[0]
    return Candidate(user_id=first["user_id"], password_hash=first["password_hash"], places=_places(rows))


async def places(driver: Driver, user_id: UUID) -> Sequence[Place]:
    """The oldest membership first; none for who is disabled."""
    return _places(await driver.fetch("SELECT * FROM tenants_of($1)", user_id))


async def enter(driver: Driver, tenant_id: UUID) -> None:
    """From here on the transaction, begun without a tenant, is one of this tenant."""
    await driver.execute("SELECT set_config('app.tenant_id', $1, true)", str(tenant_id))


async def identity(driver: Driver, claims: Claims) -> Identity:
    """What an access token is worth now. Raises `SessionOver` if its session has ended, or is not the one it names."""
    found, _ = await standing(driver, claims.session_id)
    if (found.tenant_id, found.user_id) != (claims.tenant_id, claims.user_id):
        raise SessionOver
    return replace(found, expires_at=claims.expires_at)


async def standing(driver: Driver, session_id: UUID) -> tuple[Identity, datetime]:
    """Who has this session as what, and when it ends. Raises `SessionOver`."""
    row = await driver.fetchrow("SELECT * FROM session_identity($1)", session_id)
    if row is None:
        raise SessionOver
    found = Identity(tenant_id=row["tenant_id"], user_id=row["user_id"], role=row["role"], session_id=session_id)
    return found, row["expires_at"]


async def start(driver: Driver, new: NewSession) -> None:
    """In the transaction of its tenant."""
    await driver.execute(
        _START, new.id, new.tenant_id, new.user_id, new.expires_at, new.method, new.address, new.user_agent
    )
    await driver.execute(_RENEWABLE, new.token_hash, new.id, new.tenant_id, new.token_expires_at)


async def renew(driver: Driver, presented: bytes, *, next_hash: bytes, next_expires: datetime) -> Renewal:
    """Trades one refresh token for the next. A token that comes again ends its session: commit it."""
    row = await driver.fetchrow("SELECT * FROM renew_session($1, $2, $3)", presented, next_hash, next_expires)
    assert row is not None  # noqa: S101  # the function always answers
    return Renewal(**row)


async def session(driver: Driver, session_id: UUID) -> asyncpg.Record | None:
    """One session of the tenant: how it began and when it ends."""
    return await driver.fetchrow("SELECT id, method, created_at, expires_at FROM sessions WHERE id = $1", session_id)


async def page(driver: Driver, user_id: UUID, *, limit: int, before: UUID | None) -> list[asyncpg.Record]:
    """Sessions of the user in this tenant that are not over, the newest first."""
    return await driver.fetch(_PAGE, user_id, before, limit)


async def end(driver: Driver, session_id: UUID, user_id: UUID, why: str) -> bool:
    """Ends a session of this user in this tenant. False: there is none that still goes on."""
    return await driver.fetchval(_END, session_id, user_id, why) is not None


async def end_all(driver: Driver, user_id: UUID, why: str) -> Mapping[UUID, int]:
    """Ends the sessions of the user in every tenant. Returns how many, by tenant."""
    return _counts(await driver.fetch("SELECT * FROM end_sessions_of($1, $2)", user_id, why))


async def person(driver: Driver, user_id: UUID) -> asyncpg.Record:
    """Address and name of a member of this tenant. Raises `SessionOver` for somebody who is one no more."""
    row = await driver.fetchrow("SELECT id, email, name FROM users WHERE id = $1", user_id)
    if row is None:
        raise SessionOver
    return row


async def password_hash(driver: Driver, user_id: UUID) -> str | None:
    found: str | None = await driver.fetchval("SELECT credentials_of_user($1)", user_id)
    return found


async def held_password_hash(driver: Driver, user_id: UUID) -> str | None:
    """As it is now, and stays until the transaction ends: for what was proved with a password before it began."""
    found: str | None = await driver.fetchval("SELECT hold_credentials_of($1)", user_id)
    return found


async def set_password(driver: Driver, user_id: UUID, hashed: str, *, but_not: UUID | None) -> Mapping[UUID, int]:
    """Ends all sessions of the user but one. Returns how many, by tenant."""
    return _counts(await driver.fetch("SELECT * FROM set_password($1, $2, $3)", user_id, hashed, but_not))


async def redeem_reset(driver: Driver, presented: bytes, hashed: str) -> UUID | None:
    """Whose password it now is. None: the token is unknown, used or too old."""
    found: UUID | None = await driver.fetchval("SELECT redeem_reset($1, $2)", presented, hashed)
    return found


async def known_outside(driver: Driver, issuer: str, subject: str) -> UUID | None:
    """Who is known to an OpenID provider under this name, unless disabled."""
    found: UUID | None = await driver.fetchval("SELECT user_of_external($1, $2)", issuer, subject)
    return found


async def invitations(driver: Driver, email: str) -> Sequence[Invited]:
    """Those that are open for this address: one a tenant at most."""
    rows = await driver.fetch("SELECT * FROM invitations_for($1)", email)
    return [Invited(id=row["id"], tenant_id=row["tenant_id"], tenant=row["tenant"]) for row in rows]


async def accept(driver: Driver, invitation_id: UUID, user_id: UUID, name: str | None) -> UUID | None:
    """Makes `user_id`, who is made if there is no such user, a member. None: the invitation is open no more, he is
    disabled, or somebody takes the address just now. Another id than his is that of who has the invited address. In
    both cases nothing may be committed.
    """
    try:
        found: UUID | None = await driver.fetchval(
            "SELECT accept_invitation($1, $2, $3, '')", invitation_id, user_id, name
        )
    except asyncpg.UniqueViolationError:
        return None
    return found


async def link(driver: Driver, issuer: str, subject: str, user_id: UUID) -> None:
    await driver.execute("SELECT link_external($1, $2, $3)", issuer, subject, user_id)


def _counts(rows: Sequence[asyncpg.Record]) -> Mapping[UUID, int]:
    return {row["tenant_id"]: row["ended"] for row in rows}


def _places(rows: Sequence[asyncpg.Record]) -> Sequence[Place]:
    return [Place(tenant_id=row["tenant_id"], name=row["name"], role=row["role"]) for row in rows if row["tenant_id"]]
