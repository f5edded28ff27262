"""Columns that many tables have."""

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, text

__all__ = ["EMPTY_OBJECT", "NOW", "moment", "tenant"]

NOW = text("now()")
EMPTY_OBJECT = text("'{}'::jsonb")


def moment(*, nullable: bool = True) -> Column[Any]:
    """A time with zone; one that may not be null defaults to the moment of the insert."""
    return Column(DateTime(timezone=True), nullable=nullable, server_default=None if nullable else NOW)


def tenant() -> Column[Any]:
    return Column(ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)
