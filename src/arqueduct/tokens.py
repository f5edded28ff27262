"""Access tokens: short-lived JWTs that name a session, and the opaque tokens that renew one.

An access token by itself is worth nothing: whoever checks one asks the database what its session is worth now.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from arqueduct.errors import AccessTokenExpired, NotAuthenticated
from arqueduct.secret_keys import SecretKeys

__all__ = ["AccessTokens", "Claims", "is_access_token", "new_refresh_token"]

ALGORITHM = "HS256"
ISSUER = "arqueduct"
AUDIENCE = "arqueduct-api"
CLAIMS = ("aud", "exp", "iat", "iss", "sid", "sub", "tid")
LEEWAY_SECONDS = 5
"""How far the clocks of two API machines may differ."""
LONGEST = 1024
"""Ours have about 400 characters."""
REFRESH_BYTES = 32
REFRESH_PREFIX = "aq_refresh_"
"""Begins as API keys do, so that whatever hides those in logs hides these too."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token says that was signed here and is not over."""

    user_id: UUID
    session_id: UUID
    tenant_id: UUID
    expires_at: float
    """Seconds since 1970."""


def is_access_token(proof: str) -> bool:
    """Tells them from API keys where either may be sent: a key has no dots, a JWT has two."""
    return proof.count(".") == 2


def new_refresh_token() -> str:
    """256 random bits; only its hash is kept."""
    return REFRESH_PREFIX + secrets.token_urlsafe(REFRESH_BYTES)


class AccessTokens:
    """Signs with the newest key, and knows those of all keys by their `kid`."""

    def __init__(self, keys: SecretKeys, lifetime: float) -> None:
        """`lifetime` in seconds."""
        self._keys = keys.jwt
        self._newest = next(iter(self._keys))
        self._lifetime = lifetime

    def issue(self, *, user_id: UUID, session_id: UUID, tenant_id: UUID, until: float) -> tuple[str, int]:
        """The token, and for how many seconds it is good: never beyond `until`, the end of its session."""
        now = int(time.time())
        expires = int(min(now + self._lifetime, until))
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "tid": str(tenant_id),
            "iat": now,
            "exp": expires,
        }
        token = jwt.encode(claims, self._keys[self._newest], ALGORITHM, headers={"kid": self._newest})
        return token, max(0, expires - now)

    def read(self, token: str) -> Claims:
        """Raises `AccessTokenExpired`, or `NotAuthenticated` for everything else that is wrong with it."""
        if len(token) > LONGEST:
            raise NotAuthenticated("This access token is not valid.")
        try:
            claims = self._decoded(token)
            return Claims(
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
                tenant_id=UUID(claims["tid"]),
                expires_at=float(claims["exp"]),
            )
        except jwt.ExpiredSignatureError:
            raise AccessTokenExpired from None
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError):
            raise NotAuthenticated("This access token is not valid.") from None

    def _decoded(self, token: str) -> Mapping[str, Any]:
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise jwt.InvalidTokenError("no key of this installation has this kid")
        return jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": list(CLAIMS), "strict_aud": True},
        )
