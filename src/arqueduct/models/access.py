"""Who may do what: tenants, users, and what proves who is calling."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Column, ForeignKey, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, tenant

__all__ = ["APIKey", "Membership", "Tenant", "User"]


class Tenant(SQLModel, table=True):
    """Owns everything below."""

    __tablename__: ClassVar[str] = "tenants"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class User(SQLModel, table=True):
    """A person or a service; belongs to tenants through memberships."""

    __tablename__: ClassVar[str] = "users"
    id: UUID = Field(default_factory=new_id, primary_key=True)
    email: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    password_hash: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Membership(SQLModel, table=True):
    """What a user may do in a tenant."""

    __tablename__: ClassVar[str] = "memberships"
    __table_args__ = (CheckConstraint("role IN ('owner', 'admin', 'editor', 'viewer', 'service')", name="role"),)
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
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    prefix: str = Field(sa_column=Column(Text, nullable=False))
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    scopes: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'::text[]"))
    )
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=moment())
    revoked_at: datetime | None = Field(default=None, sa_column=moment())
    last_used_at: datetime | None = Field(default=None, sa_column=moment())
