"""How long stages took: each run, their sums by hour, day and week, and the rates that estimates stand on."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    DOUBLE_PRECISION,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
)
from sqlmodel import Field, SQLModel

from arqueduct.models.columns import moment, tenant, user, words

__all__ = ["StageRate", "StageRun", "StageRunSum"]


def _key(kind: Any = Text) -> Column[Any]:
    return Column(kind, primary_key=True, nullable=False)


def _count() -> Column[Any]:
    return Column(BigInteger, nullable=False)


def _share_of_a_job() -> Column[Any]:
    return Column(Integer, nullable=False, server_default="0")


class StageRun(SQLModel, table=True):
    """A stage that an attempt finished or failed in, or (`*wait`, `*job`) its wait and the whole of it."""

    __tablename__: ClassVar[str] = "stage_runs"
    __table_args__ = (
        CheckConstraint("outcome IN ('ok', 'error')", name="outcome"),
        CheckConstraint("(code IS NULL) = (outcome = 'ok')", name="code"),
        CheckConstraint("seconds >= 0", name="seconds"),
        Index("stage_runs_ended_at_idx", "ended_at"),
        Index("stage_runs_tenant_id_ended_at_idx", "tenant_id", "ended_at"),
    )
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=user())
    job_id: UUID = Field(primary_key=True)
    attempt: int = Field(sa_column=_key(Integer))
    kind: str = Field(sa_column=words(nullable=False))
    stage: str = Field(sa_column=_key())
    content_type: str | None = Field(default=None, sa_column=words())
    size: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Bytes of the document."""
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    seconds: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    outcome: str = Field(sa_column=words(nullable=False))
    code: str | None = Field(default=None, sa_column=words())
    """Of the error."""
    documents: int = Field(default=0, sa_column=_share_of_a_job())
    pages: int = Field(default=0, sa_column=_share_of_a_job())
    chunks: int = Field(default=0, sa_column=_share_of_a_job())


class StageRunSum(SQLModel, table=True):
    """Runs of an hour, a day or a week that ended alike and took about as long."""

    __tablename__: ClassVar[str] = "stage_run_sums"
    __table_args__ = (
        CheckConstraint("span IN ('hour', 'day', 'week', 'hours done', 'days done')", name="span"),
        Index("stage_run_sums_began_at_idx", "began_at", "span"),
        {"postgresql_with": {"fillfactor": "80"}},
    )
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    whose: UUID = Field(primary_key=True)
    """A user; or the tenant, for all of its users together."""
    span: str = Field(sa_column=_key())
    began_at: datetime = Field(sa_column=_key(DateTime(timezone=True)))
    kind: str = Field(sa_column=_key())
    stage: str = Field(sa_column=_key())
    code: str = Field(sa_column=_key())
    """Of the error; empty where there was none."""
    bucket: int = Field(sa_column=_key(SmallInteger))
    """See `duration_bucket` in sql/versions/0011."""
    runs: int = Field(sa_column=_count())
    microseconds: int = Field(sa_column=_count())
    documents: int = Field(sa_column=_count())
    pages: int = Field(sa_column=_count())
    chunks: int = Field(sa_column=_count())


class StageRate(SQLModel, table=True):
    """Mean and variance of the logarithm of the seconds that a stage takes. Not a tenant's."""

    __tablename__: ClassVar[str] = "stage_rates"
    kind: str = Field(sa_column=_key())
    stage: str = Field(sa_column=_key())
    content_type: str = Field(sa_column=_key())
    """Empty for jobs without a document."""
    size_class: int = Field(sa_column=_key(SmallInteger))
    weight: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    mean: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    variance: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
