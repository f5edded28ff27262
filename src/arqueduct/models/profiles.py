"""How tenants want documents processed, and what workers have installed for it."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import moment, tenant, words

__all__ = ["Installation", "Profile", "ProfileVersion"]


def _maker() -> Column[Any]:
    """Who made it, as long as he is known."""
    return Column(ForeignKey("users.id", ondelete="SET NULL"))


class Installation(SQLModel, table=True):
    """What a worker has installed. Not a tenant's."""

    __tablename__: ClassVar[str] = "installations"
    worker_id: str = Field(
        sa_column=Column(Text, ForeignKey("workers.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    installed: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    """An `installed.Installed`."""
    told_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Profile(SQLModel, table=True):
    """A processing profile: a name, and which of its versions counts now."""

    __tablename__: ClassVar[str] = "profiles"
    __table_args__ = (
        CheckConstraint("version > 0", name="version"),
        Index("profiles_name_idx", "tenant_id", "name", unique=True, postgresql_where=text("archived_at IS NULL")),
        Index("profiles_tenant_id_id_idx", "tenant_id", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    name: str = Field(sa_column=words(nullable=False))
    description: str | None = Field(default=None, sa_column=words())
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default="1"))
    created_by: UUID | None = Field(default=None, sa_column=_maker())
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    archived_at: datetime | None = Field(default=None, sa_column=moment())
    """Begins nothing new from then on; what was begun with one of its versions goes on."""


class ProfileVersion(SQLModel, table=True):
    """What a profile said at a time. Never changed."""

    __tablename__: ClassVar[str] = "profile_versions"
    profile_id: UUID = Field(
        sa_column=Column(ForeignKey("profiles.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    version: int = Field(sa_column=Column(Integer, primary_key=True, nullable=False))
    tenant_id: UUID = Field(sa_column=tenant())
    settings: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    """A `profiles.ProfileSettings`."""
    created_by: UUID | None = Field(default=None, sa_column=_maker())
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
