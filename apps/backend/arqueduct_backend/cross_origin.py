"""CORS: which pages may call the API. The others are told so by a problem, as everybody is."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from arqueduct.errors import OriginNotAllowed
from arqueduct_backend.problems import NOTED, problem_of

__all__ = ["EXPOSED", "HEADERS", "METHODS", "CrossOrigin"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Range",
    "X-API-Key",
    "X-Request-ID",
    "traceparent",
)
"""That a page may send."""
EXPOSED = (
    "Arqueduct-Version",
    "Content-Disposition",
    "Content-Range",
    "Deprecation",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Server-Timing",
    "Sunset",
    "X-Request-ID",
)
"""That a page may read. Its credentials are a header that it sends itself: cookies are never asked for."""


class CrossOrigin(CORSMiddleware):
    """Answers preflights, and says on every answer who may read it."""

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        super().__init__(
            app, allow_origins=sorted(origins), allow_methods=METHODS, allow_headers=HEADERS, expose_headers=EXPOSED
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_preflight = scope["type"] == "http" and scope["method"] == "OPTIONS" and "origin" in headers
        if not is_preflight or "access-control-request-method" not in headers:
            await super().__call__(scope, receive, send)
            return
        answer = self.preflight_response(request_headers=headers)
        if answer.status_code >= 400:
            scope[NOTED] = True  # it carries no credentials, so nobody was denied anything yet
            answer = problem_of(HTTPConnection(scope), OriginNotAllowed(self._why(headers)), headers={"Vary": "Origin"})
        await answer(scope, receive, send)

    def _why(self, headers: Headers) -> str | None:
        """None: the origin itself is not allowed."""
        if not self.is_allowed_origin(headers["origin"]):
            return None
        if headers["access-control-request-method"] not in METHODS:
            return f"Pages may send {', '.join(METHODS)}, and no other method."
        return f"Pages may send these headers, and no others: {', '.join(HEADERS)}."
