"""Carries calls over HTTP, one transport for each way of waiting."""

import asyncio
import time
from typing import Any, TypeVar

import httpx

from arqueduct.client.calls import Call, answer_of, base_url, pause_before_next, request_of

__all__ = ["AsyncTransport", "Transport"]

Result = TypeVar("Result")

TIMEOUT = httpx.Timeout(30, read=120)
"""Seconds; an upload is answered once it is stored."""


class Transport:
    """Waits by blocking the thread."""

    def __init__(self, url: str, api_key: str | httpx.Auth | None = None, *, http: httpx.Client | None = None) -> None:
        """`api_key` may also be an access token or a `SignIn`. `http` brings settings of one's own, such as proxies."""
        self._http = http or httpx.Client(timeout=TIMEOUT)
        prepare(self._http, url, api_key)

    def call(self, call: "Call[Result]") -> Result:
        """The answer; tries again where that is harmless. Raises `APIError` and `httpx.TransportError`."""
        tries = 0
        while True:
            tries += 1
            outcome: httpx.Response | httpx.TransportError
            try:
                with request_of(self._http, call) as request:
                    outcome = self._http.send(request)
            except httpx.TransportError as error:
                outcome = error
            wait = pause_before_next(call, tries, outcome)
            if wait is None:
                return _end(call, outcome)
            time.sleep(wait.seconds)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Any:
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
            outcome: httpx.Response | httpx.TransportError
            try:
                with request_of(self._http, call) as request:
                    outcome = await self._http.send(request)
            except httpx.TransportError as error:
                outcome = error
            wait = pause_before_next(call, tries, outcome)
            if wait is None:
                return _end(call, outcome)
            await asyncio.sleep(wait.seconds)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def prepare(http: httpx.Client | httpx.AsyncClient, url: str, api_key: str | httpx.Auth | None) -> None:
    """Where to, and as whom."""
    http.base_url = httpx.URL(base_url(url))
    if isinstance(api_key, httpx.Auth):
        http.auth = api_key
    elif api_key:
        http.headers["Authorization"] = f"Bearer {api_key}"


def _end(call: "Call[Result]", outcome: httpx.Response | httpx.TransportError) -> Result:
    if isinstance(outcome, httpx.TransportError):
        raise outcome
    return answer_of(call, outcome)
