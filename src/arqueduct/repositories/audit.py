"""The audit log: lines are added, in the transaction of what they tell of, and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.ids import new_id

__all__ = ["Actor", "Outcome", "add"]

Outcome: TypeAlias = Literal["done", "denied", "failed"]
"""`denied`: he may not. `failed`: he may, but it could not be done."""

_ADD = """
    INSERT INTO audit_log (id, tenant_id, action, outcome, code, user_id, key_id, session_id, role, address,
        user_agent, request_id, target, before, after)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""


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
