"""Where a page of a list ended, as a word that clients hand back unread.

A cursor names the last row seen by its id, which is in order of creation, or by a moment and its id: rows that come or
go meanwhile neither repeat nor hide another.
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

from arqueduct.errors import InvalidCursor

__all__ = ["id_of", "moment_of", "number_of", "of", "of_moment"]

LONGEST = 128
"""Characters; ours have fewer than 100."""
LARGEST = 2**63 - 1
"""What Postgres' bigint holds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def of(name: str, last: UUID | int) -> str:
    """The cursor of the list `name` behind the row `last`."""
    return base64.urlsafe_b64encode(f"{name}:{last}".encode()).decode().rstrip("=")


def of_moment(name: str, moment: datetime, last: UUID) -> str:
    """The cursor of a list that is ordered by a moment, then by ids."""
    return of(f"{name}:{(moment - EPOCH) // MICROSECOND}", last)


def id_of(name: str, cursor: str | None) -> UUID | None:
    """The id in a cursor of this list. Raises `InvalidCursor`."""
    if cursor is None:
        return None
    try:
        return UUID(_content(name, cursor))
    except ValueError:
        raise InvalidCursor from None


def number_of(name: str, cursor: str | None) -> int | None:
    """The number in a cursor of this list. Raises `InvalidCursor`."""
    if cursor is None:
        return None
    content = _content(name, cursor)
    if not (content.isascii() and content.isdigit()) or int(content) > LARGEST:
        raise InvalidCursor
    return int(content)


def moment_of(name: str, cursor: str | None) -> tuple[datetime, UUID] | None:
    """The moment and the id in a cursor of this list. Raises `InvalidCursor`."""
    if cursor is None:
        return None
    microseconds, _, last = _content(name, cursor).partition(":")
    try:
        return EPOCH + int(microseconds) * MICROSECOND, UUID(last)
    except (ValueError, OverflowError):
        raise InvalidCursor from None


def _content(name: str, cursor: str) -> str:
    try:
        if len(cursor) > LONGEST:
            raise InvalidCursor
        found, _, content = (
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode().partition(":")
        )
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    if found != name:
        raise InvalidCursor
    return content
