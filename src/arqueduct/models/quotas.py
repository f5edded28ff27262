"""How much tenants and users may have, and how much they have."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index
from sqlmodel import Field, SQLModel

from arqueduct.models.columns import moment

__all__ = ["TenantQuota", "Usage", "UsageChange", "UserQuota"]


def _limit() -> Column[int]:
    return Column(BigInteger)


def _amount() -> Column[int]:
    return Column(BigInteger, nullable=False)


class TenantQuota(SQLModel, table=True):
    """What the operator allows the tenant, and what its administrators allow each user by default; null: no limit."""

    __tablename__: ClassVar[str] = "tenant_quotas"
    __table_args__ = (
        CheckConstraint("least(documents, bytes, jobs, user_documents, user_bytes, user_jobs) >= 0", name="quota"),
    )
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    documents: int | None = Field(default=None, sa_column=_limit())
    bytes: int | None = Field(default=None, sa_column=_limit())
    jobs: int | None = Field(default=None, sa_column=_limit())
    user_documents: int | None = Field(default=None, sa_column=_limit())
    user_bytes: int | None = Field(default=None, sa_column=_limit())
    user_jobs: int | None = Field(default=None, sa_column=_limit())
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class UserQuota(SQLModel, table=True):
    """What one user of the tenant may have, in place of the default; null: no limit."""

    __tablename__: ClassVar[str] = "user_quotas"
    __table_args__ = (CheckConstraint("least(documents, bytes, jobs) >= 0", name="quota"),)
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    user_id: UUID = Field(
        sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    documents: int | None = Field(default=None, sa_column=_limit())
    bytes: int | None = Field(default=None, sa_column=_limit())
    jobs: int | None = Field(default=None, sa_column=_limit())
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Usage(SQLModel, table=True):
    """Documents and bytes of a user, without the changes that are not folded in yet. Kept by triggers."""

    __tablename__: ClassVar[str] = "usage"
    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    documents: int = Field(sa_column=_amount())
    bytes: int = Field(sa_column=_amount())


class UsageChange(SQLModel, table=True):
    """What one statement added to a user's documents and bytes, or took from them."""

    __tablename__: ClassVar[str] = "usage_changes"
    __table_args__ = (Index("usage_changes_tenant_id_user_id_idx", "tenant_id", "user_id"),)
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    tenant_id: UUID = Field(nullable=False)
    user_id: UUID = Field(nullable=False)
    documents: int = Field(sa_column=_amount())
    bytes: int = Field(sa_column=_amount())
