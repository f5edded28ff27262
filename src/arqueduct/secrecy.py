"""Takes secrets out of text that people will read: by what they look like, and by what this process was given.

Libraries put what they were told into their messages and tracebacks, and providers repeat a key that they refuse.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from arqueduct.settings import Settings

__all__ = ["hidden", "remember"]

PASSWORD_IN_URL = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]+@")
LOOKS_SECRET = re.compile(
    r"\b(aq_[0-9A-Za-z_-]{4})[0-9A-Za-z_-]{8,}"  # API keys and refresh tokens, of which lists show as much
    r"|\b(sk-|tkt_|whsec_)[0-9A-Za-z_+/=-]{8,}"  # keys of providers, tickets, secrets of webhooks
    r"|\b(eyJ)[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]*"  # JSON web tokens
)
LEAST = 8
"""Characters of a given secret that is looked for: a shorter one would be found in words."""

_given: tuple[str, ...] = ()


def remember(settings: Settings) -> None:
    """From now on nothing that is secret in these settings is in a hidden text, whatever it looks like."""
    global _given  # the log is one for the process too
    _given = tuple(sorted({secret for secret in _secrets_of(settings) if len(secret) >= LEAST}, key=len, reverse=True))


def hidden(text: str) -> str:
    """The text with `…` in place of secrets."""
    for secret in _given:
        text = text.replace(secret, "…")
    return LOOKS_SECRET.sub(r"\1\2\3…", PASSWORD_IN_URL.sub(r"\1:…@", text))


def _secrets_of(settings: Settings) -> Iterator[str]:
    """Of a URL its password, as it is spelt there and as it is meant; of a list each part."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        secret = value.get_secret_value()
        if "://" in secret:
            password = urlsplit(secret).password or ""
            yield from (password, unquote(password))
        else:
            yield from secret.replace(",", " ").split()
