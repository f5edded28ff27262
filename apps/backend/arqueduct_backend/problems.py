"""Problem details (RFC 9457): the one shape of every answer that is not what was asked for."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from pydantic import Field
from starlette.requests import HTTPConnection
from starlette.responses import Response

from arqueduct.errors import (
    ArqueductError,
    IdempotencyInFlight,
    NotAuthenticated,
    RangeNotSatisfiable,
    TooManyConnections,
    TransientError,
)
from arqueduct.lifecycle import JobState
from arqueduct_backend.schemas import Answer

__all__ = [
    "BODY_LIMIT",
    "CALLER",
    "HEADERS",
    "MEDIA_TYPE",
    "NOTED",
    "PROBLEM",
    "REQUEST_ID",
    "Problem",
    "answers",
    "merged",
    "problem_of",
    "request_id_of",
]

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "arqueduct.request_id"
BODY_LIMIT = "arqueduct.body_limit"
CALLER = "arqueduct.caller"
"""Whom the request was proved to come from."""
PROBLEM = "arqueduct.problem"
"""The code of the problem that was answered."""
NOTED = "arqueduct.noted"
"""The audit log has this request already."""
HEADERS = "arqueduct.headers"
"""What else is to be said on the answer, whatever it is. All of these are left in the ASGI scope."""

RETRY_AFTER = timedelta(seconds=5)
"""The sweeper's rhythm: what was away is usually back and caught up after this."""
LONGEST_PATH = 300
EXTENSIONS = frozenset({"limit", "quota", "scope", "state", "used", "wanted"})
"""Details of errors that clients may see as members of the problem."""


class ProblemField(Answer):
    """One thing that is wrong with a request."""

    detail: str
    pointer: str | None = None
    """Where in the body, as a JSON pointer."""
    parameter: str | None = None
    """Which parameter …"""
    in_: str | None = Field(default=None, alias="in")
    """… of `path`, `query` or `header`."""


class Problem(Answer):
    """RFC 9457; every answer of 400 and above is one."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """The name to match on."""
    request_id: str | None
    """Under which the log has it."""
    advice: str
    """What to do."""
    errors: list[ProblemField]
    limit: int | None = None
    """With 413: how many bytes are accepted."""
    state: JobState | None = None
    """With 409: the state that does not allow it."""


def problem_of(
    connection: HTTPConnection,
    error: ArqueductError,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a request that ended in `error`; `errors` says what is wrong field by field."""
    connection.scope[PROBLEM] = error.code
    body: dict[str, Any] = {
        "type": f"urn:arqueduct:problem:{error.code}",
        "title": " ".join((type(error).__doc__ or "").split()).rstrip("."),
        "status": error.status,
        "detail": error.message,
        "instance": connection.scope["path"][:LONGEST_PATH],
        "code": error.code,
        "request_id": request_id_of(connection),
        "advice": error.advice,
        "errors": list(errors),
    }
    body |= {name: value for name, value in error.details.items() if name in EXTENSIONS}
    return Response(
        msgspec.json.encode(body),
        status_code=error.status,
        headers={**_headers_of(error), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def request_id_of(connection: HTTPConnection) -> str | None:
    found: str | None = connection.scope.get(REQUEST_ID)
    return found


def answers(*errors: type[ArqueductError]) -> dict[int | str, dict[str, Any]]:
    """For the API reference: the problems of a route, with an example of each."""
    by_status: dict[int, list[type[ArqueductError]]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error)
    return {
        status: {
            "description": " ".join(" ".join((error.__doc__ or "").split()) for error in group),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                    "examples": {error.code: {"value": _example(error)} for error in group},
                }
            },
        }
        for status, group in by_status.items()
    }


def merged(*declared: Mapping[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """What all of them declare: of the same status, both descriptions and both sets of examples."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, answer in (item for part in declared for item in part.items()):
        known = found.get(status)
        if known is None or MEDIA_TYPE not in known.get("content", {}) or MEDIA_TYPE not in answer.get("content", {}):
            found[status] = {**(known or {}), **answer}
            continue
        examples = known["content"][MEDIA_TYPE]["examples"] | answer["content"][MEDIA_TYPE]["examples"]
        found[status] = {
            "description": " ".join(example["value"]["title"] + "." for example in examples.values()),
            "content": {MEDIA_TYPE: {**known["content"][MEDIA_TYPE], "examples": examples}},
        }
    return found


def _headers_of(error: ArqueductError) -> dict[str, str]:
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RangeNotSatisfiable):
        return {"Content-Range": f"bytes */{error.details['size']}"}
    if isinstance(error, TooManyConnections):
        return {"Retry-After": str(math.ceil(RETRY_AFTER.total_seconds()))}
    if isinstance(error, TransientError | IdempotencyInFlight):
        return {"Retry-After": str(max(1, math.ceil((error.retry_after or RETRY_AFTER).total_seconds())))}
    return {}


def _example(error: type[ArqueductError]) -> dict[str, Any]:
    text = " ".join((error.__doc__ or "").split())
    return {
        "type": f"urn:arqueduct:problem:{error.code}",
        "title": text.rstrip("."),
        "status": error.status,
        "detail": text,
        "instance": "/api/v1/…",
        "code": error.code,
        "request_id": "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11",
        "advice": error.advice,
        "errors": [],
    }
