"""Carries calls over HTTP, one transport for each way of waiting."""

import asyncio
import time
from typing import Self, TypeVar

import httpx

from arqueduct.client.calls import Call, answer_of, base_url, bearer, pause_before_next, request_of
from arqueduct.client.errors import UnreachableError

__all__ = ["AsyncTransport", "Transport"]

Result = TypeVar("Result")

TIMEOUT = httpx.Timeout(30, read=120)
"""Seconds; an upload is answered once it is stored."""


class Transport:
    """Waits by blocking the thread."""

    def __init__(self, url: str, api_key: str | httpx.Auth | None = None, *, http: httpx.Client | None = None) -> None:
        """`api_key` may also be an access token or a `SignIn`. `http` brings settings of one's own, such as proxies.

        Raises `BadURLError`.
        """
        self._http = http or httpx.Client(timeout=TIMEOUT)
        prepare(self._http, url, api_key)

    def call(self, call: "Call[Result]") -> Result:
        """The answer; tries again where that is harmless. Raises `APIError` and `UnreachableError`."""
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.RequestError
            try:
                with request_of(self._http, call) as request:
                    outcome = self._http.send(request)
            except httpx.RequestError as error:
                outcome = error
            wait = pause_before_next(call, tries, outcome)
            if wait is None:
                return _end(call, outcome)
            time.sleep(wait.seconds)

    @property
    def url(self) -> str:
        """Where the server is."""
        return str(self._http.base_url).rstrip("/")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransport:
    """Waits as coroutines do."""

    def __init__(
        self, url: str, api_key: str | httpx.Auth | None = None, *, http: httpx.AsyncClient | None = None
    ) -> None:
        """As for `Transport`."""
        self._http = http or httpx.AsyncClient(timeout=TIMEOUT)
        prepare(self._http, url, api_key)

    async def call(self, call: "Call[Result]") -> Result:
        """As for `Transport`."""
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.RequestError
            try:
                with request_of(self._http, call) as request:
                    outcome = await self._http.send(request)
            except httpx.RequestError as error:
                outcome = error
            wait = pause_before_next(call, tries, outcome)
            if wait is None:
                return _end(call, outcome)
            await asyncio.sleep(wait.seconds)

    @property
    def url(self) -> str:
        """Where the server is."""
        return str(self._http.base_url).rstrip("/")

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def prepare(http: httpx.Client | httpx.AsyncClient, url: str, api_key: str | httpx.Auth | None) -> None:
    """Where to, and as whom. Raises `BadURLError`."""
    http.base_url = httpx.URL(base_url(url))
    if isinstance(api_key, httpx.Auth):
        http.auth = api_key
    elif api_key:
        http.headers["Authorization"] = bearer(api_key)


def _end(call: "Call[Result]", outcome: httpx.Response | httpx.RequestError) -> Result:
    if isinstance(outcome, httpx.RequestError):
        raise UnreachableError(outcome.request.method, outcome.request.url, outcome) from outcome
    return answer_of(call, outcome)
