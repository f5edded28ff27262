"""Who may do what: tenants, users, and what proves who is calling."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Column, DateTime, ForeignKey, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, secret_hash, tenant, user, words

__all__ = ["APIKey", "ExternalIdentity", "Invitation", "Membership", "PasswordReset", "Tenant", "User"]

ROLES = "role IN ('owner', 'admin', 'editor', 'viewer', 'service')"


class Tenant(SQLModel, table=True):
    """Owns everything below."""

    __tablename__: ClassVar[str] = "tenants"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class User(SQLModel, table=True):
    """A person or a service; belongs to tenants through memberships."""

    __tablename__: ClassVar[str] = "users"
    __table_args__ = (Index("users_address_idx", text("address_key(email)"), unique=True),)
    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    name: str | None = Field(default=None, sa_column=words())
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    """Empty: signs in some other way, or is a service."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    disabled_at: datetime | None = Field(default=None, sa_column=moment())


class Membership(SQLModel, table=True):
    """What a user may do in a tenant."""

    __tablename__: ClassVar[str] = "memberships"
    __table_args__ = (CheckConstraint(ROLES, name="role"), Index("memberships_user_id_idx", "user_id"))
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    user_id: UUID = Field(
        sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    role: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class APIKey(SQLModel, table=True):
    """A secret that stands for a user in a tenant; only its SHA-256 is kept."""

    __tablename__: ClassVar[str] = "api_keys"
    __table_args__ = (
        CheckConstraint("requests_per_minute > 0", name="requests_per_minute"),
        Index("api_keys_tenant_id_id_idx", "tenant_id", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=user())
    name: str = Field(sa_column=Column(Text, nullable=False))
    prefix: str = Field(sa_column=Column(Text, nullable=False))
    key_hash: bytes = Field(sa_column=secret_hash(unique=True))
    scopes: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment())
    last_used_at: datetime | None = Field(default=None, sa_column=moment())
    requests_per_minute: int | None = Field(default=None, sa_column=Column(Integer))
    """Instead of the limit that every user has."""


class Invitation(SQLModel, table=True):
    """Lets whoever has its token become a member, with this address and role."""

    __tablename__: ClassVar[str] = "invitations"
    __table_args__ = (CheckConstraint(ROLES, name="role"), Index("invitations_tenant_id_id_idx", "tenant_id", "id"))
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    email: str = Field(sa_column=words(nullable=False))
    role: str = Field(sa_column=words(nullable=False))
    token_hash: bytes = Field(sa_column=secret_hash(unique=True))
    invited_by: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("users.id", ondelete="SET NULL"), nullable=True)
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    accepted_at: datetime | None = Field(default=None, sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment())


class PasswordReset(SQLModel, table=True):
    """Lets whoever has its token choose a new password."""

    __tablename__: ClassVar[str] = "password_resets"
    __table_args__ = (Index("password_resets_user_id_idx", "user_id"),)
    token_hash: bytes = Field(sa_column=secret_hash(primary_key=True))
    user_id: UUID = Field(sa_column=user())
    tenant_id: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), nullable=True)
    )
    """None: offered by who runs the installation."""
    role: str | None = Field(default=None, sa_column=Column(Text))
    offered_by: UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=True)
    )
    offered_as: str | None = Field(default=None, sa_column=Column(Text))
    """The roles of both, then; with others now the token is worth nothing."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=moment())


class ExternalIdentity(SQLModel, table=True):
    """As whom an OpenID provider knows a user."""

    __tablename__: ClassVar[str] = "external_identities"
    __table_args__ = (Index("external_identities_user_id_idx", "user_id"),)
    issuer: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    subject: str = Field(sa_column=Column(Text, primary_key=True, nullable=False))
    user_id: UUID = Field(sa_column=user())
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
