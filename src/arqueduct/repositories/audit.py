"""The audit log: lines are added, in the transaction of what they tell of, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.ids import new_id

__all__ = ["Actor", "Outcome", "Sought", "add", "page"]

Outcome: TypeAlias = Literal["done", "denied", "failed"]
"""`denied`: he may not. `failed`: he may, but it could not be done."""

_ADD = """
    INSERT INTO audit_log (id, tenant_id, action, outcome, code, user_id, key_id, session_id, role, address,
        user_agent, request_id, target, before, after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""

_PAGE = """
    SELECT id, at, action, outcome, code, user_id, key_id, session_id, role, address, user_agent, request_id, target,
        before, after
    FROM audit_log
    WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR id >= $3)
        AND ($4::timestamptz IS NULL OR at > $4) AND ($5::timestamptz IS NULL OR at < $5)
        AND ($6::text IS NULL OR action = $6) AND ($7::uuid IS NULL OR user_id = $7)
        AND ($8::text IS NULL OR outcome = $8) AND ($9::text IS NULL OR starts_with(target, $9))
    ORDER BY id DESC LIMIT $10
"""

CLOCKS = timedelta(hours=1)
"""How far the clock that an id has its time from may be off that of Postgres, which `at` is from."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who does something, and from where."""

    action: str
    tenant_id: UUID | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None
    session_id: UUID | None = None
    role: str | None = None
    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    target: str | None = None


async def add(
    driver: Driver,
    actor: Actor,
    outcome: Outcome,
    *,
    code: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """One line. The transaction's tenant must be the actor's: none for somebody who could not say who he is."""
    await driver.execute(
        _ADD,
        new_id(),
        actor.tenant_id,
        actor.action,
        outcome,
        code,
        actor.user_id,
        actor.key_id,
        actor.session_id,
        actor.role,
        actor.address,
        actor.user_agent,
        actor.request_id,
        actor.target,
        None if before is None else storable.json(before),
        None if after is None else storable.json(after),
    )


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Which lines are meant: those that fit every field that is not None."""

    action: str | None = None
    user_id: UUID | None = None
    outcome: Outcome | None = None
    target: str | None = None
    """How it begins."""
    after: datetime | None = None
    before: datetime | None = None


async def page(
    driver: Driver, tenant_id: UUID, sought: Sought, *, limit: int, before: UUID | None = None
) -> Sequence[asyncpg.Record]:
    """The newest first, from the line older than `before`.

    Ids begin with their time, so a page reads the index only as far as the times that are asked for.
    """
    newest = _first_id(sought.before, CLOCKS) if sought.before else None
    return await driver.fetch(
        _PAGE,
        tenant_id,
        min(filter(None, (before, newest)), default=None),
        _first_id(sought.after, -CLOCKS) if sought.after else None,
        sought.after,
        sought.before,
        sought.action,
        sought.user_id,
        sought.outcome,
        sought.target,
        limit,
    )


def _first_id(at: datetime, shifted: timedelta) -> UUID:
    """The smallest UUIDv7 of this moment (RFC 9562: 48 bits of milliseconds since 1970 come first)."""
    milliseconds = int((at.timestamp() + shifted.total_seconds()) * 1000)  # arithmetic with years ends at 9999
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
