"""Round every request: its id, its log line, its time, its headers, and what it may send. Pure ASGI."""

import re
import time
from collections.abc import Mapping

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from arqueduct import __version__, metrics
from arqueduct.errors import HeadersTooLarge, RequestError, RequestTooLarge, SlowBody
from arqueduct.held import counting
from arqueduct.ids import new_id
from arqueduct_backend import audit_trail, shape
from arqueduct_backend.budgets import headers_of
from arqueduct_backend.error_handlers import internal_error
from arqueduct_backend.patience import Patience
from arqueduct_backend.problems import BODY_LIMIT, HEADERS, REQUEST_ID, problem_of
from arqueduct_backend.protocols import MOST_HEAD_BYTES, MOST_HEADERS
from arqueduct_backend.reference import CONTENT_SECURITY_POLICY
from arqueduct_backend.routing import template_of

__all__ = ["BodyLimit", "HeadLimit", "Requests"]

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
DOCS = {**SECURITY, "content-security-policy": CONTENT_SECURITY_POLICY}
API = {**SECURITY, "cache-control": "no-store"}
HSTS = "max-age=31536000"
"""A year of https only, where the request came by https: the server believes the proxies that it was told to."""


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
        self._held = counting()
        self._is_observed = False
        self._bytes = 0
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._scope[REQUEST_ID]
            headers["arqueduct-version"] = __version__
            headers["server-timing"] = f"app;dur={self._seconds() * 1000:.1f}, db;dur={self._held.seconds * 1000:.1f}"
            headers.update(headers_of(self._scope, time.time()))
            for name, value in _headers_for(self._scope["path"]).items():
                headers.setdefault(name, value)
            if self._scope["scheme"] == "https":
                headers.setdefault("strict-transport-security", HSTS)
            for name, value in self._scope.get(HEADERS, {}).items():
                headers.append(name, value)
            if headers.get("content-type", "").startswith("text/event-stream"):
                self._observe()  # it lasts as long as its client listens
        self._bytes += len(message.get("body", b""))
        await self._send(message)

    def finish(self) -> None:
        self._observe()
        path = self._scope["path"]
        write = log.debug if path in QUIET else log.info
        write(
            "request",
            method=self._scope["method"][:16],
            path=path[:LONGEST_PATH],
            route=template_of(self._scope),
            status=self.status,
            bytes=self._bytes,
            took=round(self._seconds(), 4),
            took_db=round(self._held.seconds, 4),
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


class HeadLimit:
    """Refuses requests whose headers are too many or too large. The server itself stops at some point, bluntly."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (said := _too_large(scope)):
            answer = problem_of(Request(scope), HeadersTooLarge(said), headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """Ends requests whose body is larger than `most`, slower than `idle` seconds allow, or of a shape that is hard to
    parse. Where a POST to an address that `except_at` matches brings files, nothing is asked about the size: those
    handlers count for themselves.
    """

    def __init__(self, app: ASGIApp, most: int, idle: float, except_at: re.Pattern[str]) -> None:
        self._app = app
        self._most = most
        self._idle = idle
        self._except_at = except_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counts_itself = scope["method"] == "POST" and self._except_at.fullmatch(scope["path"])
        most = None if counts_itself else self._most
        if most is not None:
            scope[BODY_LIMIT] = most
        body = _Body(Headers(scope=scope), receive, most, Patience(self._idle))
        await self._app(scope, body.receive, send)


class _Body:
    """One body on its way in. What is wrong with it is raised as the cause of an `HTTPException`: the one kind of
    exception that FastAPI lets through while it reads.
    """

    def __init__(self, headers: Headers, receive: Receive, most: int | None, patience: Patience) -> None:
        self._receive = receive
        self._most = most
        self._patience = patience
        self._is_whole = False
        self._size = 0
        self._json: list[bytes] | None = [] if shape.is_json(headers.get("content-type", "")) else None
        announced = headers.get("content-length", "")
        self._announced = int(announced) if announced.isdigit() else 0

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is only that the client left
            return await self._receive()
        try:
            if self._most is not None and self._announced > self._most:
                raise RequestTooLarge(limit=self._most)
            message = await self._patience.next(self._receive)
            self._take(message)
        except RequestError as error:
            slow = {"Connection": "close"} if isinstance(error, SlowBody) else None
            raise HTTPException(error.status, headers=slow) from error
        return message

    def _take(self, message: Message) -> None:
        """Raises `RequestTooLarge`, `ComplexJSON`, `InvalidJSON`."""
        part = message.get("body", b"")
        self._is_whole = not message.get("more_body", False)
        self._size += len(part)
        if self._most is None:
            return
        if self._size > self._most:
            raise RequestTooLarge(limit=self._most)
        if self._json is not None:
            self._json.append(part)
            if self._is_whole:
                shape.check(b"".join(self._json))


def _too_large(scope: Scope) -> str | None:
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS:
        return f"A request may have {MOST_HEADERS} headers."
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if size + sum(len(name) + len(value) for name, value in headers) > MOST_HEAD_BYTES:
        return f"The head of a request may have {MOST_HEAD_BYTES:,} bytes."
    return None


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
