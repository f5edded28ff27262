"""Every exception becomes a problem: ours, the framework's, and those nobody thought of."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from arqueduct.errors import (
    ArqueductError,
    InvalidJSON,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    RequestError,
    RequestTooLarge,
)
from arqueduct_backend.idempotency import Replay, replayed
from arqueduct_backend.problems import BODY_LIMIT, problem_of

__all__ = ["install", "internal_error"]

log = structlog.get_logger()

CLIENT_CLOSED = 499
"""nginx' number for a client that went away before its answer; nobody reads it but the metrics."""
MOST_ERRORS = 20
VARIANT = re.compile(r"[a-z-]+\[.*\]")
LONGEST_DETAIL = 300
NO_ID = "This is no id; ids are UUIDs, such as 019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11."

OF_FRAMEWORK: dict[int, type[ArqueductError]] = {
    HTTPStatus.BAD_REQUEST: InvalidJSON,  # raised only where a body cannot be parsed
    HTTPStatus.UNAUTHORIZED: NotAuthenticated,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: RequestTooLarge,
}


def install(app: FastAPI) -> None:
    """What no handler here knows is caught by the middleware, which calls `internal_error`."""
    app.add_exception_handler(ArqueductError, _arqueduct_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _client_disconnect)
    app.add_exception_handler(Replay, replayed)


def internal_error(request: Request) -> Response:
    """Says nothing of the inside: the log has it under the same request id."""
    return problem_of(request, ArqueductError())


async def _arqueduct_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ArqueductError)  # noqa: S101  # registered for nothing else
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request failed", code=error.code, error=error.message)
    return problem_of(request, error, errors=error.details.get("errors", ()))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for nothing else
    found = error.errors()
    if any(item["loc"][0] == "path" for item in found) and (known := _methods_meant(request)):
        return problem_of(request, MethodNotAllowed(), headers={"Allow": ", ".join(known)})
    if any(item["type"] == "json_invalid" for item in found):
        position, reason = found[0]["loc"][-1], found[0]["ctx"]["error"]
        reason = str(reason).removesuffix(" at")  # "Unterminated string starting at"
        return problem_of(request, InvalidJSON(f"The body is not valid JSON: {reason} at character {position}."))
    return problem_of(request, InvalidRequest(), errors=_fields(found))


def _methods_meant(request: Request) -> list[str]:
    """Of an address like `/jobs/cancel`, taken for that of a job by a method that it does not know."""
    known: list[str] = request.app.state.routes.methods_at(request.scope["path"])
    return [] if request.method in known else known


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for nothing else
    headers = dict(error.headers or {})
    if isinstance(error.__cause__, ArqueductError):  # see `middleware.BodyLimit`
        return problem_of(request, error.__cause__, headers=headers)
    kind = OF_FRAMEWORK.get(error.status_code, RequestError)
    if kind is MethodNotAllowed:
        headers["Allow"] = ", ".join(request.app.state.routes.methods_at(request.scope["path"]))
    limit = {"limit": request.scope.get(BODY_LIMIT)} if kind is RequestTooLarge else {}
    return problem_of(request, kind(**limit), headers=headers)


async def _client_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)


def _fields(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What is wrong where, without the values: they may be secret or huge."""
    fields = []
    for item in found[:MOST_ERRORS]:
        place, *path = item["loc"]
        detail = _said(item)[:LONGEST_DETAIL]
        if place == "body":
            fields.append(
                {
                    "detail": detail,
                    "pointer": "#" + "".join(f"/{_escaped(part)}" for part in path if not _is_variant(part)),
                }
            )
        else:
            fields.append({"detail": detail, "in": str(place), "parameter": ".".join(map(str, path))})
    return fields


def _said(item: Mapping[str, Any]) -> str:
    """Without the words of the library that looked."""
    return NO_ID if str(item["type"]).startswith("uuid_") else str(item["msg"]).removeprefix("Value error, ")


def _is_variant(part: object) -> bool:
    """`str-enum[EventType]`: which kind of a union was tried. It is no place in the body."""
    return isinstance(part, str) and VARIANT.fullmatch(part) is not None


def _escaped(part: object) -> str:
    """A step of a JSON pointer (RFC 6901); a name that the client made up is cut."""
    return str(part)[:100].replace("~", "~0").replace("/", "~1")
