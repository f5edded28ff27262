"""Who belongs to a tenant and what proves it: what is said and answered about people, keys and the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import asyncpg
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from arqueduct.naming import Address, Label
from arqueduct.permissions import Permission, Role
from arqueduct.repositories.audit import Outcome
from arqueduct_backend.account import Secret
from arqueduct_backend.overseeing import Moment
from arqueduct_backend.schemas import Answer

__all__ = [
    "Acceptance",
    "AuditLine",
    "InvitationAccepted",
    "InvitationAsked",
    "InvitationMade",
    "InvitationShown",
    "KeyAsked",
    "KeyChange",
    "KeyMade",
    "KeyShown",
    "Member",
    "PasswordResetMade",
    "PersonRole",
    "RoleChange",
    "ServiceAccountAsked",
    "ServiceAccountMade",
    "TenantChange",
    "TenantShown",
]

MOST_REQUESTS = 1_000_000
"""A minute; far above what one process answers."""

PersonRole = Literal["owner", "admin", "editor", "viewer"]
"""`permissions.Role` without `service`, which no person has."""


def _ahead(given: datetime) -> datetime:
    if given <= datetime.now(UTC):
        raise PydanticCustomError("past", "The moment lies in the past.")
    return given


class Asked(BaseModel):
    """A body: fields that do not exist are refused, not ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TenantShown(Answer):
    """The tenant of the caller."""

    id: UUID
    name: str
    created_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> "TenantShown":
        return cls.model_validate(dict(row))


class TenantChange(Asked):
    """What the tenant is to be called."""

    name: Label


class Member(Answer):
    """Somebody who belongs to the tenant."""

    user_id: UUID
    email: str
    name: str | None
    role: Role
    created_at: datetime
    """Since when he is a member."""
    disabled_at: datetime | None
    """Since when he may not sign in anywhere."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Member":
        return cls.model_validate(dict(row))


class RoleChange(Asked):
    """What a member is to be."""

    role: PersonRole


class PasswordResetMade(Answer):
    """Lets a member choose a new password, once."""

    token: str
    """Shown here and never again."""
    expires_at: datetime


class ServiceAccountAsked(Asked):
    """A program that is to work with documents."""

    name: Label


class ServiceAccountMade(Answer):
    """It has no keys yet."""

    user_id: UUID
    name: str


class InvitationAsked(Asked):
    """Who is to become what."""

    email: Address
    role: PersonRole


class InvitationShown(Answer):
    """What was sent to whom."""

    id: UUID
    email: str
    role: Role
    state: Literal["open", "accepted", "revoked", "expired"]
    invited_by: UUID | None
    """Null: by who runs the installation, or by somebody who is no more."""
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "InvitationShown":
        return cls.model_validate(dict(row))


class InvitationMade(Answer):
    """An invitation, and what opens it."""

    invitation: InvitationShown
    token: str
    """Shown here and never again: hand it to whom it is for."""


class Acceptance(Asked):
    """Somebody takes an invitation up."""

    token: Secret
    name: Label | None = None
    """Of a new user; one who is there already keeps his."""
    password: Secret
    """A new user's from now on; the right one of a user who is there already."""


class InvitationAccepted(Answer):
    """Whom to sign in as, and where."""

    user_id: UUID
    tenant_id: UUID


class KeyAsked(Asked):
    """A key that is to be made."""

    name: Label
    scopes: Annotated[list[Permission] | None, Field(max_length=len(Permission))] = None
    """What it may do, of what its user may. None: all of that – or, made with a key that is limited itself or for
    somebody else, what both may."""
    expires_at: Annotated[Moment, AfterValidator(_ahead)] | None = None
    user_id: UUID | None = None
    """Whose; the caller's own unless told."""
    requests_per_minute: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] | None = None
    """What the key may do instead of what every user may."""


class KeyChange(Asked):
    """What is to be different; what is not named stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    name: Annotated[Label, Field(json_schema_extra=lambda schema: schema.pop("default", None))] = ""
    requests_per_minute: Annotated[int, Field(ge=1, le=MOST_REQUESTS)] | None = None
    """Null: as much as every user."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_named", "Name at least one field.")
        return self


class KeyShown(Answer):
    """A key as lists show it."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str = Field(examples=["aq_x7Kd"])
    """How it begins."""
    scopes: list[Permission]
    """None are no limit."""
    requests_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "KeyShown":
        # A scope that this version does not know gives nothing, and must not hide the rest.
        known = [scope for scope in row["scopes"] if scope in set(Permission)]
        return cls.model_validate({**row, "scopes": known})


class KeyMade(Answer):
    """A key, and the secret itself."""

    key: KeyShown
    api_key: str
    """Shown here and never again."""


class AuditLine(Answer):
    """Who did what, or tried to."""

    id: UUID
    at: datetime
    action: str = Field(examples=["delete_document"])
    """The operation's id; `cli …` of who runs the installation."""
    outcome: Outcome
    """`denied`: he may not. `failed`: he may, but it could not be done."""
    code: str | None
    """Of the problem that was answered."""
    user_id: UUID | None
    key_id: UUID | None
    session_id: UUID | None
    role: str | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    target: str | None = Field(examples=["/api/v1/documents/019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"])
    before: dict[str, Any] | None
    """Ids and states that were."""
    after: dict[str, Any] | None
    """Ids and states that are."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> "AuditLine":
        return cls.model_validate(dict(row))
