"""One's own account: what is said and answered by who signs in."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from arqueduct.permissions import Permission
from arqueduct.repositories.sessions import Place
from arqueduct_backend.schemas import Answer

__all__ = [
    "Account",
    "Ended",
    "Login",
    "PasswordRequest",
    "Person",
    "Proof",
    "ProviderAnswer",
    "ProviderPage",
    "RefreshRequest",
    "ResetRequest",
    "Secret",
    "SessionShown",
    "SignedIn",
    "TenantOfMine",
    "Tokens",
]

Method = Literal["password", "oidc"]


def _whole(given: SecretStr) -> SecretStr:
    """Half characters (lone surrogates) pass as secrets, and nothing can be hashed that has some."""
    try:
        given.get_secret_value().encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "The text has half characters.") from None
    return given


Secret = Annotated[SecretStr, Field(min_length=1, max_length=1024), AfterValidator(_whole)]
"""Longer ones would only keep argon2 busy."""
Opaque = Annotated[SecretStr, Field(min_length=1, max_length=512), AfterValidator(_whole)]


class _Asked(BaseModel):
    """A body: fields that do not exist are refused, not ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Login(_Asked):
    """Who says who he is."""

    email: Annotated[
        str,
        StringConstraints(min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$"),
        Field(examples=["ada@example.org"]),
    ]
    """Upper and lower case are the same."""
    password: Secret
    tenant_id: UUID | None = None
    """Where to; the tenant he has belonged to for longest unless told."""


class RefreshRequest(_Asked):
    """A refresh token, which is worth nothing afterwards."""

    refresh_token: Opaque


class PasswordRequest(_Asked):
    """A new password, and the proof that it is not a stranger at an unlocked screen."""

    old_password: Secret
    new_password: Secret


class ResetRequest(_Asked):
    """A new password, by a token from an administrator."""

    token: Opaque
    new_password: Secret


class ProviderAnswer(_Asked):
    """What the OpenID provider sent the browser back with."""

    code: Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_whole)]
    state: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    binding: Annotated[SecretStr, Field(min_length=1, max_length=128), AfterValidator(_whole)]
    """What the start told the page beside the address."""
    tenant_id: UUID | None = None
    """Where to; the tenant he has belonged to for longest unless told. One that has invited him counts, too."""


class ProviderPage(Answer):
    """Where to sign in."""

    url: str
    """Send the browser there within ten minutes."""
    binding: str
    """Keep it in the page, and send it when the browser comes back: it shows that this browser began the sign-in."""


class Person(Answer):
    """Who it is."""

    id: UUID
    email: str
    name: str | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Person":
        return cls.model_validate(dict(row))


class TenantOfMine(Answer):
    """A tenant that somebody belongs to, and as what."""

    id: UUID
    name: str
    role: str

    @classmethod
    def of(cls, place: Place) -> "TenantOfMine":
        return cls(id=place.tenant_id, name=place.name, role=place.role)


class Tokens(Answer):
    """What proves who is calling, and what renews it."""

    access_token: str
    """Send it as `Authorization: Bearer`."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # no secret: how to send one
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Good for one renewal. Sent twice, it ends the session."""
    session_id: UUID


class SignedIn(Tokens):
    """A session has begun."""

    user: Person
    tenant: TenantOfMine
    other_tenants: list[TenantOfMine]
    """Sign in again with `tenant_id` to work there."""


class Proof(Answer):
    """How the caller of this very request is known."""

    method: Literal["api_key", "password", "oidc"]
    key_id: UUID | None
    session_id: UUID | None
    session_expires_at: datetime | None
    """When even a renewed session is over."""


class Account(Answer):
    """The caller: who, where, as what."""

    user: Person
    tenant: TenantOfMine
    permissions: list[Permission]
    signed_in_by: Proof


class SessionShown(Answer):
    """Somebody signed in, on one device."""

    id: UUID
    is_current: bool
    """Whether this request belongs to it."""
    method: Method
    created_at: datetime
    renewed_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None

    @classmethod
    def of(cls, row: asyncpg.Record, current: UUID | None) -> "SessionShown":
        return cls.model_validate({**row, "is_current": row["id"] == current})


class Ended(Answer):
    """How many sessions were ended, in all tenants."""

    ended: int
