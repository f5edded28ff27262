"""What a provider answers when it does not answer with vectors, said in the errors of Arqueduct."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import openai

from arqueduct.errors import ArqueductError, DependencyUnavailable, EmbeddingRejected, ProviderLimited

__all__ = ["redacted", "retry_after", "translated"]

LONGEST_WAIT = timedelta(hours=1)
"""A provider's clock or unit may be wrong; nothing should sleep for days over it."""
TRY_LATER = frozenset({408, 409, 425})
"""Client errors that are no verdict on the request: timeout, lock conflict, too early."""
KEY = re.compile(r"\b(?:sk-|Bearer )[\w*.-]{6,}")


def translated(error: openai.APIError, key: str | None) -> ArqueductError:
    """429: `ProviderLimited`. No answer, or one that may change (5xx): `DependencyUnavailable`. Else rejected."""
    if isinstance(error, openai.APITimeoutError):
        return DependencyUnavailable("The embedding provider did not answer in time.")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return DependencyUnavailable(f"The embedding provider cannot be reached: {redacted(str(cause), key)}")
    if not isinstance(error, openai.APIStatusError):
        return EmbeddingRejected(f"The embedding provider's answer makes no sense: {redacted(error.message, key)}")
    said = f"{error.status_code}: {redacted(_message(error), key)}"
    wait = retry_after(error.response.headers.get("retry-after"), datetime.now(UTC))
    if error.status_code == 429:
        return ProviderLimited(f"The embedding provider asks to slow down. {said}", retry_after=wait)
    if error.status_code >= 500 or error.status_code in TRY_LATER:
        return DependencyUnavailable(f"The embedding provider has a problem. {said}", retry_after=wait)
    return EmbeddingRejected(f"The embedding provider refused the request. {said}")


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """A `Retry-After` header, which is a number of seconds or a date; `None` for none and for nonsense."""
    if not value:
        return None
    try:
        wait = timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), LONGEST_WAIT)


def redacted(text: str, key: str | None) -> str:
    """Without the key, and without what looks like one: providers repeat a wrong key, half masked."""
    return KEY.sub("…", text.replace(key, "…") if key else text)[:500]


def _message(error: openai.APIStatusError) -> str:
    """The provider's own words: the client puts the body's Python representation round them."""
    match error.body:
        case {"message": str(message)} | {"error": {"message": str(message)}} | {"error": str(message)}:
            return message
        case {"detail": detail}:
            return str(detail)
    return error.message
