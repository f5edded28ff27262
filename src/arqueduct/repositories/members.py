"""A tenant and its members: who belongs to it, in which role.

Every statement names the tenant, so that it means the same under row-level security and for the owner of the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.errors import Forbidden, LastOwner, NotAuthenticated, NotFound
from arqueduct.identity import Identity
from arqueduct.ids import new_id
from arqueduct.permissions import Permission, Role, granted
from arqueduct.repositories import invitations

__all__ = [
    "Held",
    "add_service",
    "find",
    "hold",
    "offer_reset",
    "page",
    "remove",
    "rename_tenant",
    "set_role",
    "stand",
    "tenant",
]

SERVICE_DOMAIN = "service.invalid"
"""No mail reaches a service account, and RFC 2606 sees to it that none ever will."""

_MEMBERS = """
    SELECT m.user_id, u.email, u.name, m.role, m.created_at, u.disabled_at
    FROM memberships m JOIN users u ON u.id = m.user_id
"""
_OWNERS = """
    SELECT m.user_id FROM memberships m JOIN users u ON u.id = m.user_id
    WHERE m.tenant_id = $1 AND m.role = 'owner' AND u.disabled_at IS NULL
    ORDER BY m.user_id FOR UPDATE OF m
"""
_END_SESSIONS = """
    UPDATE sessions SET ended_at = now(), ended_why = 'removed'
    WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL
"""
_END_KEYS = """
    UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING id
"""

_KEY_HOLDS = """
    SELECT id FROM api_keys
    WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR SHARE
"""
_SESSION_HOLDS = "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > now() FOR SHARE"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A member whom nobody else changes until the transaction ends."""

    tenant_id: UUID
    user_id: UUID
    role: Role
    other_owners: int
    """Besides this member; those who may sign in."""


async def tenant(driver: Driver, tenant_id: UUID, *, locked: bool = False) -> asyncpg.Record:
    """`locked`: nobody else changes it until the transaction ends. Raises `NotFound`."""
    lock = " FOR NO KEY UPDATE" if locked else ""  # others may still add what refers to it
    found = await driver.fetchrow(f"SELECT id, name, created_at FROM tenants WHERE id = $1{lock}", tenant_id)
    if found is None:
        raise NotFound
    return found


async def rename_tenant(driver: Driver, tenant_id: UUID, name: str) -> None:
    await driver.execute("UPDATE tenants SET name = $2 WHERE id = $1", tenant_id, name)


async def page(driver: Driver, tenant_id: UUID, *, limit: int, before: UUID | None = None) -> Sequence[asyncpg.Record]:
    """Those whose account is the newest first, from the one older than `before`."""
    return await driver.fetch(
        f"{_MEMBERS} WHERE m.tenant_id = $1 AND ($2::uuid IS NULL OR m.user_id < $2) ORDER BY m.user_id DESC LIMIT $3",
        tenant_id,
        before,
        limit,
    )


async def find(driver: Driver, tenant_id: UUID, user_id: UUID) -> asyncpg.Record:
    """Raises `NotFound`."""
    found = await driver.fetchrow(f"{_MEMBERS} WHERE m.tenant_id = $1 AND m.user_id = $2", tenant_id, user_id)
    if found is None:
        raise NotFound
    return found


async def hold(driver: Driver, tenant_id: UUID, user_id: UUID) -> Held:
    """Locks the owners, then this member; in this order always, so two who unmake each other wait, one for the other.

    Raises `NotFound`.
    """
    owners = {row["user_id"] for row in await driver.fetch(_OWNERS, tenant_id)}
    role = await driver.fetchval(
        "SELECT role FROM memberships WHERE tenant_id = $1 AND user_id = $2 FOR UPDATE", tenant_id, user_id
    )
    if role is None:
        raise NotFound
    return Held(tenant_id=tenant_id, user_id=user_id, role=Role(role), other_owners=len(owners - {user_id}))


async def set_role(driver: Driver, member: Held, role: Role) -> Sequence[UUID]:
    """Invitations that he sent and could not send any more are revoked; returns which. Raises `LastOwner`."""
    if role is not Role.OWNER:
        _keep_an_owner(member)
    await driver.execute(
        "UPDATE memberships SET role = $3 WHERE tenant_id = $1 AND user_id = $2", member.tenant_id, member.user_id, role
    )
    return await invitations.withdraw(driver, member.tenant_id, member.user_id, _beyond(granted(role)))


async def stand(driver: Driver, me: Identity) -> None:
    """Keeps what gives somebody his rights until the transaction ends: his membership, his role, and the key or session
    that he came with. Locked in this order, as who removes him does.

    Raises `NotAuthenticated` or `Forbidden` for one who has lost any of them since he proved who he is.
    """
    role = await driver.fetchval(
        "SELECT role FROM memberships WHERE tenant_id = $1 AND user_id = $2 FOR KEY SHARE", me.tenant_id, me.user_id
    )
    if role is None:
        raise NotAuthenticated("You are no member of this tenant any more.")
    if role != me.role:
        raise Forbidden("Your role was changed while this was carried out. Send it again if you still may.")
    if me.key_id and await driver.fetchval(_KEY_HOLDS, me.key_id) is None:
        raise NotAuthenticated("This API key was revoked, or its time was over, while this was carried out.")
    if me.session_id and await driver.fetchval(_SESSION_HOLDS, me.session_id) is None:
        raise NotAuthenticated("This session ended while this was carried out.")


async def remove(driver: Driver, member: Held) -> dict[str, list[str]]:
    """Ends his sessions and keys in this tenant, and revokes the invitations he sent.

    Returns the ids of those keys and invitations, as the audit log wants them. Raises `LastOwner`.
    """
    _keep_an_owner(member)
    who = (member.tenant_id, member.user_id)
    keys = [row["id"] for row in await driver.fetch(_END_KEYS, *who)]
    await driver.execute(_END_SESSIONS, *who)
    sent = await invitations.withdraw(driver, *who, list(Role))
    await driver.execute("DELETE FROM memberships WHERE tenant_id = $1 AND user_id = $2", *who)
    return {"key_ids": [str(key) for key in keys], "invitation_ids": [str(one) for one in sent]}


async def add_service(driver: Driver, name: str) -> UUID:
    """Makes a service account in the tenant of the transaction."""
    user_id = new_id()
    await driver.execute("SELECT create_service($1, $2, $3)", user_id, f"{user_id}@{SERVICE_DOMAIN}", name)
    return user_id


async def offer_reset(
    driver: Driver, user_id: UUID, token_hash: bytes, lasts: timedelta, *, offered_by: UUID
) -> datetime | None:
    """Lets a member of the transaction's tenant choose a new password: until when. None: he is in other tenants too.

    Worth nothing as soon as he, or the member who offers it, has another role or is in another tenant.
    """
    row = await driver.fetchrow(
        "SELECT now() + $3 AS expires_at, offer_reset($1, $2, now() + $3, $4) AS is_offered",
        user_id,
        token_hash,
        lasts,
        offered_by,
    )
    return row["expires_at"] if row and row["is_offered"] else None


def _keep_an_owner(member: Held) -> None:
    if member.role is Role.OWNER and not member.other_owners:
        raise LastOwner


def _beyond(allowed: frozenset[Permission]) -> list[Role]:
    """Roles that somebody with these permissions cannot hand out."""
    if Permission.MEMBERS_WRITE not in allowed:
        return list(Role)
    return [role for role in Role if not granted(role) <= allowed]
