"""Signing in with an OpenID provider: authorization code with PKCE, and an ID token that is believed only when
everything about it fits (OpenID Connect Core 1.0, 3.1.3.7; RFC 9700).
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import structlog
from arq.connections import ArqRedis

from arqueduct.bus import AWAY
from arqueduct.errors import DependencyUnavailable, SignInRefused
from arqueduct.identity import key_hash
from arqueduct.keys import Keys
from arqueduct.settings import Settings
from arqueduct_backend.oidc_endpoints import ALGORITHMS, Endpoints

__all__ = ["Outsider", "Provider", "SignIn"]

log = structlog.get_logger()

LIFETIME_SECONDS = 600
"""Of a sign-in under way: long enough to find a second factor."""
SECRET_BYTES = 32
STATE_LENGTH = 43
"""Characters of `SECRET_BYTES` in base64."""
LEEWAY_SECONDS = 30
"""How far the provider's clock may be off."""
LONGEST_NAME = 200
LONGEST_SUBJECT = 255
"""ASCII characters (OpenID Connect Core 1.0, 2)."""


class SignIn(msgspec.Struct, frozen=True):
    """What a sign-in under way must come back with. Kept in Redis; the person's browser never sees it."""

    nonce: str
    verifier: str
    binding_hash: bytes
    """Of what only the page has that began: a stranger's link cannot finish a sign-in in somebody's browser."""


@dataclass(frozen=True, kw_only=True)
class Outsider:
    """Somebody as the provider knows him."""

    issuer: str
    subject: str
    email: str | None
    """Only one that the provider has verified."""
    name: str | None


class Provider:
    """The one OpenID provider of this installation."""

    def __init__(self, settings: Settings, redis: ArqRedis, keys: Keys) -> None:
        assert settings.oidc_issuer is not None  # noqa: S101  # the settings see to it that all three are there
        assert settings.oidc_client_id is not None  # noqa: S101
        assert settings.oidc_redirect_url is not None  # noqa: S101
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._redirect_url = settings.oidc_redirect_url
        self._scopes = settings.oidc_scopes
        self._endpoints = Endpoints(settings)
        self._redis = redis
        self._keys = keys

    async def aclose(self) -> None:
        await self._endpoints.aclose()

    async def start(self) -> tuple[str, str]:
        """Where to send the person, and what the page keeps meanwhile. Raises `DependencyUnavailable`."""
        state, binding, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(4))
        begun = SignIn(nonce=nonce, verifier=verifier, binding_hash=key_hash(binding))
        endpoint = await self._endpoints.authorization()
        try:
            await self._redis.set(self._key(state), msgspec.msgpack.encode(begun), ex=LIFETIME_SECONDS)
        except AWAY as error:
            raise DependencyUnavailable(f"Redis is away, so nobody can begin to sign in: {error}") from error
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_url,
            "scope": self._scopes,
            "state": state,
            "nonce": begun.nonce,
            "code_challenge": _challenge(begun.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", binding

    async def finish(self, code: str, *, state: str, binding: str) -> Outsider:
        """Who came back. A state is good once. Raises `SignInRefused` or `DependencyUnavailable`."""
        begun = await self._begun(state)
        if not secrets.compare_digest(key_hash(binding), begun.binding_hash):
            raise self._refusal("another browser began this sign-in")
        answer = await self._endpoints.exchange(code, begun.verifier, self._redirect_url)
        claims = await self.verify(answer.id_token, begun.nonce)
        if "email" not in claims and answer.access_token:
            claims = {**await self._endpoints.about(answer.access_token, claims["sub"]), **claims}
        return self._outsider(claims)

    async def verify(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that this provider signed for us, now, for this sign-in. Raises `SignInRefused`."""
        try:
            header = jwt.get_unverified_header(id_token)
            key = await self._endpoints.key(header.get("kid"), header.get("alg"))
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=list(ALGORITHMS),
                issuer=self._issuer,
                audience=self._client_id,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["aud", "exp", "iat", "iss", "nonce", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise self._refusal(f"ID token: {error}") from error
        presented = claims["nonce"]
        if not isinstance(presented, str) or not secrets.compare_digest(presented.encode(), nonce.encode()):
            raise self._refusal("ID token: the nonce is that of another sign-in")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise self._refusal("ID token: it was made for another client")
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
            raise self._refusal("ID token: the subject is not one")
        return claims

    async def _begun(self, state: str) -> SignIn:
        kept = None
        if len(state) == STATE_LENGTH:
            try:
                kept = await self._redis.getdel(self._key(state))
            except AWAY as error:
                raise DependencyUnavailable(f"Redis is away, so nobody can sign in: {error}") from error
        if kept is None:
            raise SignInRefused(
                "This sign-in was not begun here, was finished already, or took longer than ten minutes."
            )
        return msgspec.msgpack.decode(kept, type=SignIn)

    def _key(self, state: str) -> str:
        return self._keys.sign_in(key_hash(state).hex())

    def _outsider(self, claims: Mapping[str, Any]) -> Outsider:
        email, name = claims.get("email"), claims.get("name")
        is_verified = claims.get("email_verified") is True and isinstance(email, str)
        return Outsider(
            issuer=self._issuer,
            subject=claims["sub"],
            email=email if is_verified else None,
            name=name[:LONGEST_NAME] if isinstance(name, str) and name.isprintable() and name else None,
        )

    def _refusal(self, reason: str) -> SignInRefused:
        """The reason is for the log: a stranger learns nothing from it."""
        log.warning("sign-in refused", issuer=self._issuer, reason=reason[:300])
        return SignInRefused()


def _challenge(verifier: str) -> str:
    """S256 of RFC 7636."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
