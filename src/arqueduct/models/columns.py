"""Columns that many tables have."""

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, LargeBinary, Text, text

__all__ = ["EMPTY_OBJECT", "NOW", "moment", "secret_hash", "tenant", "user", "words"]

NOW = text("now()")
EMPTY_OBJECT = text("'{}'::jsonb")


def moment(*, nullable: bool = True) -> Column[Any]:
    """A time with zone; one that may not be null defaults to the moment of the insert."""
    return Column(DateTime(timezone=True), nullable=nullable, server_default=None if nullable else NOW)


def tenant() -> Column[Any]:
    return Column(ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def user() -> Column[Any]:
    return Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False)


def words(*, nullable: bool = True) -> Column[Any]:
    return Column(Text, nullable=nullable)


def secret_hash(**options: Any) -> Column[Any]:
    """SHA-256 of a secret that only its holder has."""
    return Column(LargeBinary, nullable=False, **options)
