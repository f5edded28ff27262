"""Endpoints: where a tenant wants to be told. Row-level security keeps to the transaction's tenant."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.errors import NotFound, TooManyWebhooks
from arqueduct.ids import new_id

__all__ = ["BOTH_SIGN", "MOST", "add", "change", "find", "page", "remove", "rotate"]

MOST = 20
"""Of a tenant: each event is sent to all that want it."""
BOTH_SIGN = timedelta(hours=24)
"""How long the old secret signs beside the new one, for receivers to be given the new one."""

_COLUMNS = """
    id, url, description, events, is_enabled, disabled_why, failing_since, resting_until,
    CASE WHEN previous_until > now() THEN previous_until END AS previous_until, created_at, updated_at
"""
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::uuid::text, 0))"
_ADD = f"""
    INSERT INTO webhook_endpoints (id, tenant_id, url, description, events, is_enabled, secret)
    SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = $2) < {MOST}
    RETURNING {_COLUMNS}
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM webhook_endpoints WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2
"""
# Who changes the address or enables it again says that it is well.
_CHANGE = f"""
    UPDATE webhook_endpoints SET url = $2, description = $3, events = $4, is_enabled = $5, updated_at = now(),
        disabled_why = CASE WHEN NOT $5 THEN disabled_why END, failures = 0, failing_since = NULL, resting_until = NULL
    WHERE id = $1 RETURNING {_COLUMNS}
"""
_ROTATE = f"""
    UPDATE webhook_endpoints SET previous_secret = secret, previous_until = now() + $3::interval, secret = $2,
        updated_at = now()
    WHERE id = $1 RETURNING {_COLUMNS}
"""


async def add(
    driver: Driver,
    tenant_id: UUID,
    *,
    url: str,
    description: str | None,
    events: Sequence[str],
    is_enabled: bool,
    secret: bytes,
) -> asyncpg.Record:
    """`secret` is sealed. Raises `TooManyWebhooks`."""
    await driver.execute(_ALONE, tenant_id)
    made = await driver.fetchrow(_ADD, new_id(), tenant_id, url, description, list(events), is_enabled, secret)
    if made is None:
        raise TooManyWebhooks(f"A tenant may have {MOST} webhooks.")
    return made


async def page(driver: Driver, *, limit: int, before: UUID | None = None) -> Sequence[asyncpg.Record]:
    """The newest first, from the one older than `before`."""
    return await driver.fetch(_PAGE, before, limit)


async def find(driver: Driver, endpoint_id: UUID, *, locked: bool = False) -> asyncpg.Record:
    """`locked`: nobody else changes it until the transaction ends. Raises `NotFound`."""
    lock = "FOR NO KEY UPDATE" if locked else ""
    found = await driver.fetchrow(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = $1 {lock}", endpoint_id)
    if found is None:
        raise NotFound
    return found


async def change(driver: Driver, endpoint: asyncpg.Record, values: Mapping[str, Any]) -> asyncpg.Record:
    """`values`: those of `url, description, events, is_enabled` that are to be different. It must be locked."""
    new = {name: values.get(name, endpoint[name]) for name in ("url", "description", "events", "is_enabled")}
    changed = await driver.fetchrow(_CHANGE, endpoint["id"], *new.values())
    assert changed is not None  # noqa: S101  # it was found and locked
    return changed


async def rotate(driver: Driver, endpoint_id: UUID, secret: bytes) -> asyncpg.Record:
    """Gives it a new secret, sealed. Of two rotations in a day only the second's old secret still signs.

    Raises `NotFound`.
    """
    changed = await driver.fetchrow(_ROTATE, endpoint_id, secret, BOTH_SIGN)
    if changed is None:
        raise NotFound
    return changed


async def remove(driver: Driver, endpoint_id: UUID) -> None:
    """With its deliveries; the jobs of those that are pending find nothing to do. Raises `NotFound`."""
    if await driver.fetchval("DELETE FROM webhook_endpoints WHERE id = $1 RETURNING id", endpoint_id) is None:
        raise NotFound
