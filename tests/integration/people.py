"""Members of a tenant, made without asking anybody."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories import keys
from tests.integration.many_jobs import Owner

PASSWORD = "seven quiet herons at dusk"  # of nobody
NOTHING = "01890000-0000-7000-8000-000000000000"


async def join(owner: Owner, tenant_id: UUID, role: str, *, scopes: Sequence[str] = ()) -> NewIdentity:
    """One more member, with a key that has these scopes. Nobody knows the password."""
    user_id, email = new_id(), f"{uuid4().hex}@example.org"
    await owner.execute("INSERT INTO users (id, email, password_hash) VALUES ($1, $2, '')", user_id, email)
    await owner.execute(
        "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)", tenant_id, user_id, role
    )
    return await with_key(
        owner, NewIdentity(tenant_id=tenant_id, user_id=user_id, email=email, password="", api_key=""), scopes
    )


async def with_key(owner: Owner, member: NewIdentity, scopes: Sequence[str] = (), **more: Any) -> NewIdentity:
    """The same member with one more key."""
    _, secret = await keys.add(owner, member.tenant_id, member.user_id, "a key", scopes=scopes, **more)
    return NewIdentity(
        tenant_id=member.tenant_id, user_id=member.user_id, email=member.email, password="", api_key=secret
    )


async def lines(owner: Owner, tenant_id: UUID) -> list[tuple[str, str, str | None]]:
    """What the audit log has of the tenant: action, outcome and code, the oldest first."""
    rows = await owner.fetch("SELECT action, outcome, code FROM audit_log WHERE tenant_id = $1 ORDER BY id", tenant_id)
    return [(row["action"], row["outcome"], row["code"]) for row in rows]


async def role_of(owner: Owner, member: NewIdentity) -> str | None:
    found: str | None = await owner.fetchval(
        "SELECT role FROM memberships WHERE tenant_id = $1 AND user_id = $2", member.tenant_id, member.user_id
    )
    return found
