"""API keys: made, listed, changed, revoked. The database has their hashes only."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.identity import KEY_BYTES, PREFIX_LENGTH, key_hash
from arqueduct.ids import new_id

__all__ = ["add", "change", "find", "page", "revoke"]

_COLUMNS = """
    id, user_id, name, prefix, scopes, requests_per_minute, created_at, expires_at, revoked_at, last_used_at
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM api_keys
    WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND ($3::uuid IS NULL OR id < $3)
    ORDER BY id DESC LIMIT $4
"""
_ADD = f"""
    INSERT INTO api_keys (id, tenant_id, user_id, name, prefix, key_hash, scopes, expires_at, requests_per_minute)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {_COLUMNS}
"""
_CHANGE = f"""
    UPDATE api_keys SET name = $3, requests_per_minute = $4 WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}
"""


async def add(
    driver: Driver,
    tenant_id: UUID,
    user_id: UUID,
    name: str,
    *,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[asyncpg.Record, str]:
    """The new key's row, and the key, which can be read nowhere else. No scopes are no limit."""
    secret = f"aq_{secrets.token_urlsafe(KEY_BYTES)}"
    made = await driver.fetchrow(
        _ADD,
        new_id(),
        tenant_id,
        user_id,
        name,
        secret[:PREFIX_LENGTH],
        key_hash(secret),
        list(scopes),
        expires_at,
        requests_per_minute,
    )
    assert made is not None  # noqa: S101  # an insert returns its row
    return made, secret


async def page(
    driver: Driver, tenant_id: UUID, *, user_id: UUID | None, limit: int, before: UUID | None = None
) -> Sequence[asyncpg.Record]:
    """The newest first, from the one older than `before`: of one user, or of all. Revoked ones too."""
    return await driver.fetch(_PAGE, tenant_id, user_id, before, limit)


async def find(driver: Driver, tenant_id: UUID, key_id: UUID, *, locked: bool = False) -> asyncpg.Record | None:
    """A key that is not revoked. `locked`: nobody else changes it until the transaction ends."""
    lock = " FOR UPDATE" if locked else ""
    return await driver.fetchrow(
        f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL{lock}",
        tenant_id,
        key_id,
    )


async def change(driver: Driver, tenant_id: UUID, key: asyncpg.Record, values: Mapping[str, Any]) -> asyncpg.Record:
    """Sets `name` and `requests_per_minute`, as far as they are among the values."""
    new = {**key, **values}
    changed = await driver.fetchrow(_CHANGE, tenant_id, key["id"], new["name"], new["requests_per_minute"])
    assert changed is not None  # noqa: S101  # `find` holds it
    return changed


async def revoke(driver: Driver, tenant_id: UUID, key_id: UUID) -> None:
    await driver.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
        tenant_id,
        key_id,
    )
