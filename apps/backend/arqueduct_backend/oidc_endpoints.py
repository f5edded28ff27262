"""The OpenID provider over HTTP: what it publishes, kept for a while, and what it answers to a code."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import msgspec
import structlog

from arqueduct.errors import DependencyUnavailable, SignInRefused
from arqueduct.settings import Settings, is_private

__all__ = ["ALGORITHMS", "Answer", "Endpoints"]

log = structlog.get_logger()

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {"RS256": ("RSA", None), "ES256": ("EC", "P-256")}
"""What may sign an ID token, with the kind and curve of its key: never anything that a public key could be turned into
the secret of, and never `none`.
"""
TIMEOUT = httpx.Timeout(5)
MOST_SECONDS = 10
"""Of one exchange in all, however slowly it trickles."""
MOST_BYTES = 2**20
KEPT_SECONDS = 3600
"""Providers announce new keys for longer."""
AGAIN_SECONDS = 60
"""A key that is not among the known ones is looked for this often, whatever strangers invent."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the provider gave for a code."""

    id_token: str
    access_token: str | None


@dataclass(frozen=True, kw_only=True)
class _Published:
    document: Mapping[str, Any]
    keys: Sequence[Mapping[str, Any]]
    at: float


class Endpoints:
    """Every method raises `DependencyUnavailable` if the provider is away or answers what no provider does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer or ""
        self._http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        self._known: _Published | None = None
        self._lock = asyncio.Lock()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def authorization(self) -> str:
        """Where people are sent."""
        return self._url(await self._published(), "authorization_endpoint")

    async def exchange(self, code: str, verifier: str, redirect_url: str) -> Answer:
        """Raises `SignInRefused` if the provider does not take the code."""
        known = await self._published()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        headers = self._sign(known.document, form)
        request = self._http.build_request("POST", self._url(known, "token_endpoint"), data=form, headers=headers)
        status, body = await self._send(request)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("sign-in refused", issuer=self._issuer, reason=f"code: {body.get('error')}"[:300])
            raise SignInRefused
        id_token, access_token = body.get("id_token"), body.get("access_token")
        if status != HTTPStatus.OK or not isinstance(id_token, str):
            raise self._away(f"the token endpoint answered {status}")
        return Answer(id_token=id_token, access_token=access_token if isinstance(access_token, str) else None)

    async def about(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """What the userinfo endpoint says of this person, for providers that keep ID tokens short."""
        known = await self._published()
        if "userinfo_endpoint" not in known.document:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        request = self._http.build_request("GET", self._url(known, "userinfo_endpoint"), headers=headers)
        status, body = await self._send(request)
        if status != HTTPStatus.OK or body.get("sub") != subject:
            raise self._away(f"the userinfo endpoint answered {status}, or of somebody else")
        return body

    async def key(self, kid: object, algorithm: object) -> jwt.PyJWK:
        """The one key that this ID token may be signed with. Raises `jwt.InvalidKeyError`."""
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise jwt.InvalidKeyError(f"signed with {algorithm!s:.20}")
        known = await self._published()
        if not (fitting := _fitting(known.keys, kid, algorithm)):
            known = await self._published(older_than=AGAIN_SECONDS)
            fitting = _fitting(known.keys, kid, algorithm)
        if len(fitting) != 1:
            raise jwt.InvalidKeyError(f"{len(fitting)} keys of the provider fit")
        return jwt.PyJWK(dict(fitting[0]), algorithm)

    async def _published(self, older_than: float = KEPT_SECONDS) -> _Published:
        async with self._lock:
            if self._known is None or time.monotonic() - self._known.at > older_than:
                self._known = await self._discovered()
            return self._known

    async def _discovered(self) -> _Published:
        document = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise self._away(f"it calls itself {document.get('issuer')!s:.200}, which ARQUEDUCT_OIDC_ISSUER must be")
        published = _Published(document=document, keys=(), at=time.monotonic())
        keys = (await self._get(self._url(published, "jwks_uri"))).get("keys")
        if not isinstance(keys, list):
            raise self._away("it publishes no keys")
        found = [key for key in keys if isinstance(key, dict)]
        return _Published(document=document, keys=found, at=published.at)

    async def _get(self, url: str) -> Mapping[str, Any]:
        status, body = await self._send(self._http.build_request("GET", url))
        if status != HTTPStatus.OK:
            raise self._away(f"{url} answered {status}")
        return body

    async def _send(self, request: httpx.Request) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object of the answer; of anything else an empty one."""
        request.headers["Accept"] = "application/json"
        content = bytearray()
        try:
            async with asyncio.timeout(MOST_SECONDS):
                answer = await self._http.send(request, stream=True)
                try:
                    async for part in answer.aiter_bytes():
                        content += part
                        if len(content) > MOST_BYTES:
                            raise self._away("its answer has no end")
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            raise self._away(str(error) or type(error).__name__) from error
        try:
            body = msgspec.json.decode(bytes(content))
        except msgspec.DecodeError:
            body = None
        return answer.status_code, body if isinstance(body, dict) else {}

    def _sign(self, document: Mapping[str, Any], form: dict[str, str]) -> dict[str, str]:
        """Says who we are, in the way the provider knows: by header (its default), or in the form."""
        client_id = self._settings.oidc_client_id or ""
        secret = self._settings.oidc_client_secret
        ways = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is not None and "client_secret_basic" in ways:
            # RFC 6749, 2.3.1: both are form-encoded before they are put together.
            credentials = (quote(client_id, safe=""), quote(secret.get_secret_value(), safe=""))
            return {"Authorization": "Basic " + b64encode(":".join(credentials).encode()).decode()}
        form["client_id"] = client_id
        if secret is not None:
            form["client_secret"] = secret.get_secret_value()
        return {}

    def _url(self, known: _Published, name: str) -> str:
        url = known.document.get(name)
        if not isinstance(url, str) or not is_private(url, self._settings.environment):
            raise self._away(f"its {name} is not an https URL")
        return url

    def _away(self, reason: str) -> DependencyUnavailable:
        return DependencyUnavailable(f"The OpenID provider cannot be used: {reason}"[:500])


def _fitting(keys: Sequence[Mapping[str, Any]], kid: object, algorithm: str) -> list[Mapping[str, Any]]:
    kind, curve = ALGORITHMS[algorithm]
    return [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("crv") == curve
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
