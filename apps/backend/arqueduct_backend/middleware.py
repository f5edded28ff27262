"""Round every request: its id, its log line, its time, its headers, and how much it may send. Pure ASGI."""

import re
import time
from collections.abc import Mapping

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from arqueduct import metrics
from arqueduct.ids import new_id
from arqueduct_backend import audit_trail
from arqueduct_backend.error_handlers import internal_error
from arqueduct_backend.problems import BODY_LIMIT, REQUEST_ID
from arqueduct_backend.routing import template_of

__all__ = ["BodyLimit", "Requests"]

log = structlog.get_logger()

SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when debugging."""
LONGEST_PATH = 300

SECURITY = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
DOCS = {
    # Swagger UI comes from a CDN, with a small script in the page itself.
    "content-security-policy": (
        "default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
        "script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
API = {**SECURITY, "cache-control": "no-store"}


class Requests:
    """Names each request, times it, writes one log line about it, and answers where everything else failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = _bind(Headers(scope=scope))
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        except Exception:
            log.exception("request crashed", route=template_of(scope))
            if exchange.status is not None:  # too late for another answer: end the connection, so that it shows
                raise
            await internal_error(Request(scope))(scope, receive, exchange.send)
        finally:
            exchange.finish()
            await audit_trail.write_down(scope, exchange.status)


class _Exchange:
    """One request and what was answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._is_observed = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._scope[REQUEST_ID]
            headers["server-timing"] = f"app;dur={self._seconds() * 1000:.1f}"
            for name, value in _headers_for(self._scope["path"]).items():
                headers.setdefault(name, value)
            if headers.get("content-type", "").startswith("text/event-stream"):
                self._observe()  # it lasts as long as its client listens
        await self._send(message)

    def finish(self) -> None:
        self._observe()
        path = self._scope["path"]
        write = log.debug if path in QUIET else log.info
        write(
            "request",
            method=self._scope["method"][:16],
            path=path[:LONGEST_PATH],
            status=self.status,
            took=round(self._seconds(), 4),
        )

    def _observe(self) -> None:
        if not self._is_observed:
            self._is_observed = True
            method = self._scope["method"] if self._scope["method"] in METHODS else "other"
            metrics.request_seconds.labels(method, template_of(self._scope), str(self.status or "none")).observe(
                self._seconds()
            )

    def _seconds(self) -> float:
        return time.perf_counter() - self._began


class BodyLimit:
    """Ends requests whose body is larger than `most`, except at addresses that count for themselves."""

    def __init__(self, app: ASGIApp, most: int, except_at: frozenset[str]) -> None:
        self._app = app
        self._most = most
        self._except_at = except_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._except_at:
            await self._app(scope, receive, send)
            return
        scope[BODY_LIMIT] = self._most
        announced = Headers(scope=scope).get("content-length", "")
        received = int(announced) if announced.isdigit() and int(announced) > self._most else 0

        async def counted() -> Message:
            nonlocal received
            message = await receive() if received <= self._most else {"type": "http.request"}
            received += len(message.get("body", b""))
            if received > self._most:
                raise HTTPException(413)  # the one kind of exception that FastAPI lets through while it reads
            return message

        await self._app(scope, counted, send)


def _bind(headers: Headers) -> str:
    """Starts the log context of a request: nothing of the one before on this connection may stay in it."""
    presented = headers.get("x-request-id", "")
    request_id = presented if SANE_ID.fullmatch(presented) else str(new_id())
    clear_contextvars()
    bind_contextvars(request=request_id)
    if trace := TRACE.fullmatch(headers.get("traceparent", "")):
        bind_contextvars(trace=trace[1])
    return request_id


def _headers_for(path: str) -> Mapping[str, str]:
    if path.startswith("/api/"):
        return API
    return DOCS if path.startswith("/docs") else SECURITY
