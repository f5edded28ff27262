"""Users of all tenants, for who runs the installation: as the owner of the tables only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver

__all__ = ["disable", "enable", "enter", "find", "keys", "offer_reset", "page", "tenants", "tenants_named"]

_USERS = """
    SELECT u.id, u.email, u.name, u.created_at, u.disabled_at,
        coalesce(array_agg(m.tenant_id ORDER BY m.created_at, m.tenant_id) FILTER (WHERE m.role IS NOT NULL), '{}')
            AS tenant_ids,
        coalesce(array_agg(t.name ORDER BY m.created_at, m.tenant_id) FILTER (WHERE m.role IS NOT NULL), '{}')
            AS tenants,
        coalesce(array_agg(m.role ORDER BY m.created_at, m.tenant_id) FILTER (WHERE m.role IS NOT NULL), '{}') AS roles
    FROM users u LEFT JOIN (memberships m JOIN tenants t ON t.id = m.tenant_id)
        ON m.user_id = u.id AND ($1::uuid IS NULL OR m.tenant_id = $1)
"""
"""$1: the only tenant whose memberships are told."""
_TENANTS = """
    SELECT t.id, t.name, t.created_at, (SELECT count(*) FROM memberships WHERE tenant_id = t.id) AS members
    FROM tenants t ORDER BY t.id DESC LIMIT $1
"""
_KEYS = """
    SELECT k.id, k.tenant_id, t.name AS tenant, k.user_id, u.email, k.name, k.prefix, k.scopes,
        k.requests_per_minute, k.created_at, k.expires_at, k.revoked_at, k.last_used_at
    FROM api_keys k JOIN users u ON u.id = k.user_id JOIN tenants t ON t.id = k.tenant_id
    WHERE ($1::uuid IS NULL OR k.tenant_id = $1) AND ($2::uuid IS NULL OR k.user_id = $2)
        AND ($3::uuid IS NULL OR k.id = $3) AND ($4 OR k.revoked_at IS NULL)
    ORDER BY k.id DESC LIMIT $5
"""


async def enter(driver: Driver, tenant_id: UUID) -> None:
    """Makes this the transaction's tenant, for functions that ask which one it is."""
    await driver.execute("SELECT set_config('app.tenant_id', $1, true)", str(tenant_id))


async def tenants(driver: Driver, *, limit: int) -> Sequence[asyncpg.Record]:
    """The newest first, with how many members each has."""
    return await driver.fetch(_TENANTS, limit)


async def tenants_named(driver: Driver, name: str) -> Sequence[UUID]:
    """Two at most: names need not be unique."""
    return [row["id"] for row in await driver.fetch("SELECT id FROM tenants WHERE name = $1 LIMIT 2", name)]


async def page(driver: Driver, *, tenant_id: UUID | None, limit: int) -> Sequence[asyncpg.Record]:
    """The newest first, with the tenants they belong to and their roles there; of one tenant: that one and no other."""
    return await driver.fetch(
        f"{_USERS} WHERE $1::uuid IS NULL OR EXISTS (SELECT FROM memberships WHERE user_id = u.id AND tenant_id = $1) "
        "GROUP BY u.id ORDER BY u.id DESC LIMIT $2",
        tenant_id,
        limit,
    )


async def find(driver: Driver, *, user_id: UUID | None = None, email: str | None = None) -> asyncpg.Record | None:
    """By the one or by the other, with all their tenants."""
    return await driver.fetchrow(
        f"{_USERS} WHERE u.id = $2 OR address_key(u.email) = address_key($3) GROUP BY u.id", None, user_id, email
    )


async def disable(driver: Driver, user_id: UUID) -> datetime | None:
    """Ends his sessions in every tenant; his keys are refused from now on. Since when; None: he was disabled before."""
    since: datetime | None = await driver.fetchval(
        "UPDATE users SET disabled_at = now() WHERE id = $1 AND disabled_at IS NULL RETURNING disabled_at", user_id
    )
    await driver.execute("SELECT end_sessions_of($1, 'disabled')", user_id)
    return since


async def enable(driver: Driver, user_id: UUID) -> bool:
    """His keys are good again. False: he was not disabled."""
    enabled = await driver.fetchval(
        "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL RETURNING id", user_id
    )
    return enabled is not None


async def offer_reset(driver: Driver, user_id: UUID, token_hash: bytes, lasts: timedelta) -> datetime:
    """Lets him choose a new password, whichever tenants he belongs to: until when."""
    until: datetime = await driver.fetchval(
        "INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES ($1, $2, now() + $3) "
        "RETURNING expires_at",
        token_hash,
        user_id,
        lasts,
    )
    return until


async def keys(
    driver: Driver,
    *,
    tenant_id: UUID | None = None,
    user_id: UUID | None = None,
    key_id: UUID | None = None,
    with_revoked: bool = False,
    limit: int,
) -> Sequence[asyncpg.Record]:
    """API keys that fit, the newest first."""
    return await driver.fetch(_KEYS, tenant_id, user_id, key_id, with_revoked, limit)
