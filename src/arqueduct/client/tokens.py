"""Signing in as a person: access tokens are renewed when they are over, once for all requests that wait for it."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
import msgspec

from arqueduct.client.calls import base_url, problem_of
from arqueduct.client.errors import APIError

__all__ = ["SignIn"]

EARLY = 30.0
"""Seconds before its end in which a token is renewed already: clocks and networks are slow."""


class _Tokens(msgspec.Struct):
    access_token: str
    refresh_token: str
    expires_in: float


class SignIn(httpx.Auth):
    """Signs in with the first request, by e-mail address and password; `auth` of an httpx client.

    Each refresh token is good for one renewal, so give one `SignIn` to one client, not to several processes. Raises
    `BadURLError` for a wrong `url`; with a request `APIError` when the server refuses.
    """

    def __init__(self, url: str, email: str, password: str, *, tenant_id: str | None = None) -> None:
        self._url = base_url(url)
        self._login: dict[str, Any] = {"email": email, "password": password}
        if tenant_id:
            self._login["tenant_id"] = tenant_id
        self._tokens: _Tokens | None = None
        self._good_until = 0.0
        self._lock = threading.Lock()
        self._async_lock = asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        refused = None
        for _ in range(2):
            with self._lock:
                asked = self._renewal(refused)
                while asked is not None:
                    response = yield asked
                    response.read()
                    asked = self._take(response)
            response = yield self._signed(request)
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return
            refused = request.headers["Authorization"]

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        refused = None
        for _ in range(2):
            async with self._async_lock:
                asked = self._renewal(refused)
                while asked is not None:
                    response = yield asked
                    await response.aread()
                    asked = self._take(response)
            response = yield self._signed(request)
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return
            refused = request.headers["Authorization"]

    def _renewal(self, refused: str | None) -> httpx.Request | None:
        """What to ask first: nothing while there is a token that is good, or that somebody else has just renewed."""
        if self._tokens is None:
            return self._post("login", self._login)
        if refused == f"Bearer {self._tokens.access_token}" or time.monotonic() > self._good_until:
            return self._post("refresh", {"refresh_token": self._tokens.refresh_token})
        return None

    def _take(self, response: httpx.Response) -> httpx.Request | None:
        """Keeps the tokens; a session that is over is begun anew. Raises `APIError`."""
        if response.is_success:
            self._tokens = msgspec.json.decode(response.content, type=_Tokens)
            self._good_until = time.monotonic() + max(self._tokens.expires_in - EARLY, self._tokens.expires_in / 2)
            return None
        if self._tokens is not None and response.status_code == httpx.codes.UNAUTHORIZED:
            self._tokens = None
            return self._post("login", self._login)
        raise APIError(response.status_code, problem_of(response))

    def _post(self, name: str, body: dict[str, Any]) -> httpx.Request:
        return httpx.Request("POST", f"{self._url}/api/v1/auth/{name}", json=body)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        assert self._tokens is not None  # noqa: S101  # a renewal went before
        request.headers["Authorization"] = f"Bearer {self._tokens.access_token}"
        return request
