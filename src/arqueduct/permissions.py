"""Who may do what: the one table. Routes name a permission; roles and scopes of API keys are sets of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from arqueduct.errors import Forbidden
from arqueduct.webhooks.kinds import DELIVER

__all__ = ["KINDS", "ROLES", "OfKind", "Permission", "Role", "check", "check_kinds", "granted", "withheld"]


class Role(StrEnum):
    """What a member is in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    SERVICE = "service"
    """A program: works with documents, manages nothing."""


class Permission(StrEnum):
    """What a route asks for. Also the scopes of API keys."""

    SELF = "self"
    """One's own account: who am I, change my password, end my sessions. No scope takes it away."""
    DOCUMENTS_READ = "documents:read"
    """Documents, their text, passages and search; live updates."""
    DOCUMENTS_WRITE = "documents:write"
    PROFILES_WRITE = "profiles:write"
    """Make, change and archive processing profiles. Reading them is reading documents."""
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    """Cancel, pause, resume, retry; with `documents:write` begin projects, runs and batches."""
    JOBS_INSPECT = "jobs:inspect"
    """Tracebacks and names of workers."""
    KEYS_OWN = "keys:own"
    """API keys of one's own."""
    KEYS_ALL = "keys:all"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    """Invite, change roles, remove; service accounts."""
    OWNERS_WRITE = "owners:write"
    """Make somebody an owner, or no longer one."""
    TENANT_WRITE = "tenant:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    UPKEEP_READ = "upkeep:read"
    """Quotas, policies of retention and their runs, what the storage holds."""
    UPKEEP_WRITE = "upkeep:write"
    """Set quotas of users and policies of retention; begin runs, and retry them."""


_READ = frozenset(
    {Permission.SELF, Permission.DOCUMENTS_READ, Permission.JOBS_READ, Permission.KEYS_OWN, Permission.MEMBERS_READ}
)
_WORK = _READ | {Permission.DOCUMENTS_WRITE, Permission.JOBS_WRITE}
_ALL = frozenset(Permission)

ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: _ALL,
    Role.ADMIN: _ALL - {Permission.OWNERS_WRITE, Permission.TENANT_WRITE},
    Role.EDITOR: _WORK | {Permission.PROFILES_WRITE},
    Role.VIEWER: _READ,
    Role.SERVICE: _WORK - {Permission.KEYS_OWN, Permission.MEMBERS_READ},
}


def granted(role: str, scopes: Iterable[str] = ()) -> frozenset[Permission]:
    """What a member may do, by a key with these scopes; no scopes are no limit. A role we do not know may nothing."""
    whole = ROLES.get(Role(role), frozenset()) if role in set(Role) else frozenset()
    narrowed = frozenset(scopes)
    return whole & (narrowed | {Permission.SELF}) if narrowed else whole


def check(allowed: frozenset[Permission], wanted: Permission) -> None:
    """Raises `Forbidden` that names what is missing."""
    if wanted not in allowed:
        raise Forbidden(f"This needs the permission `{wanted}`.", permission=str(wanted))


@dataclass(frozen=True, kw_only=True)
class OfKind:
    """What jobs of a kind ask for, beside `jobs:read` and `jobs:write`."""

    to_see: Permission
    to_steer: Permission


KINDS: Mapping[str, OfKind] = {
    DELIVER: OfKind(to_see=Permission.WEBHOOKS_READ, to_steer=Permission.WEBHOOKS_WRITE),
}
"""Whoever may read or steer jobs may do so with every kind that is not here. No kind that is here is told live."""


def withheld(allowed: frozenset[Permission], *, steers: bool = False) -> list[str]:
    """Kinds of jobs that somebody may not see or, if he `steers`, not change: that takes both."""
    return [
        kind
        for kind, asked in KINDS.items()
        if asked.to_see not in allowed or (steers and asked.to_steer not in allowed)
    ]


def check_kinds(allowed: frozenset[Permission], kinds: Iterable[str], *, steers: bool = False) -> None:
    """For kinds that somebody names. Raises `Forbidden` that names what is missing."""
    for kind in kinds:
        if asked := KINDS.get(kind):
            check(allowed, asked.to_see)
            if steers:
                check(allowed, asked.to_steer)
