"""Invitations: a token that makes somebody a member. The database has its hash only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.errors import AlreadyMember, InvitationNotOpen, NotFound
from arqueduct.ids import new_id
from arqueduct.permissions import Role

__all__ = ["Guest", "accept", "add", "find_open", "page", "revoke", "withdraw"]

_COLUMNS = """
    id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at,
    CASE WHEN accepted_at IS NOT NULL THEN 'accepted' WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN expires_at <= now() THEN 'expired' ELSE 'open' END AS state
"""
_IS_MEMBER = """
    SELECT EXISTS (SELECT FROM users u JOIN memberships m ON m.user_id = u.id
        WHERE m.tenant_id = $1 AND address_key(u.email) = address_key($2))
"""
_REPLACE = """
    UPDATE invitations SET revoked_at = now()
    WHERE tenant_id = $1 AND address_key(email) = address_key($2) AND accepted_at IS NULL AND revoked_at IS NULL
"""
_ADD = f"""
    INSERT INTO invitations (id, tenant_id, email, role, token_hash, invited_by, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, now() + $7) RETURNING {_COLUMNS}
"""
_WITHDRAW = """
    UPDATE invitations SET revoked_at = now()
    WHERE tenant_id = $1 AND invited_by = $2 AND role = ANY ($3) AND accepted_at IS NULL AND revoked_at IS NULL
    RETURNING id
"""
_REVOKE = """
    UPDATE invitations SET revoked_at = now()
    WHERE tenant_id = $1 AND id = $2 AND accepted_at IS NULL AND revoked_at IS NULL RETURNING id
"""


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Who holds an open invitation."""

    invitation_id: UUID
    tenant_id: UUID
    email: str
    role: str
    user_id: UUID | None
    """Who has the address already."""
    password_hash: str | None


async def add(
    driver: Driver,
    tenant_id: UUID,
    email: str,
    role: Role,
    *,
    invited_by: UUID | None,
    token_hash: bytes,
    lasts: timedelta,
) -> asyncpg.Record:
    """Takes the place of one that is open for the same address. Raises `AlreadyMember`."""
    if await driver.fetchval(_IS_MEMBER, tenant_id, email):
        raise AlreadyMember
    await driver.execute(_REPLACE, tenant_id, email)
    made = await driver.fetchrow(_ADD, new_id(), tenant_id, email, role, token_hash, invited_by, lasts)
    assert made is not None  # noqa: S101  # an insert returns its row
    return made


async def page(driver: Driver, tenant_id: UUID, *, limit: int, before: UUID | None = None) -> Sequence[asyncpg.Record]:
    """The newest first, from the one older than `before`; also those that are open no more."""
    return await driver.fetch(
        f"SELECT {_COLUMNS} FROM invitations WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) "
        "ORDER BY id DESC LIMIT $3",
        tenant_id,
        before,
        limit,
    )


async def revoke(driver: Driver, tenant_id: UUID, invitation_id: UUID) -> None:
    """Raises `NotFound`, also for one that was accepted or revoked before."""
    if await driver.fetchval(_REVOKE, tenant_id, invitation_id) is None:
        raise NotFound


async def withdraw(driver: Driver, tenant_id: UUID, invited_by: UUID, roles: Sequence[Role]) -> Sequence[UUID]:
    """Revokes what this member sent for these roles and nobody accepted yet. Returns which."""
    return [row["id"] for row in await driver.fetch(_WITHDRAW, tenant_id, invited_by, roles)]


async def find_open(driver: Driver, token_hash: bytes) -> Guest:
    """Needs no tenant: the token says it. Raises `InvitationNotOpen`."""
    found = await driver.fetchrow("SELECT * FROM open_invitation($1)", token_hash)
    if found is None:
        raise InvitationNotOpen
    return Guest(
        invitation_id=found["id"],
        tenant_id=found["tenant_id"],
        email=found["email"],
        role=found["role"],
        user_id=found["user_id"],
        password_hash=found["password_hash"],
    )


async def accept(driver: Driver, guest: Guest, *, new_user: UUID, name: str | None, hashed: str) -> UUID | None:
    """Makes the guest a member; the id of the user. None: somebody else took the address since `find_open`.

    Then nothing may be committed. Raises `InvitationNotOpen`, also for a user who is disabled.
    """
    try:
        user_id: UUID | None = await driver.fetchval(
            "SELECT accept_invitation($1, $2, $3, $4)", guest.invitation_id, new_user, name, hashed
        )
    except asyncpg.UniqueViolationError:
        return None
    if user_id is None:
        raise InvitationNotOpen
    return user_id if user_id == (guest.user_id or new_user) else None
