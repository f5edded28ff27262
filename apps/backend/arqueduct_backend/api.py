"""The API's own description: OpenAPI, with problems as they are and both ways to send a key.

`describe` adds to each route what follows from what it declares: the problems of a permission, of parameters, of a
body, of `If-Match`; the idempotency key of a POST; the refusal of parameters that nobody knows.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, params
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from arqueduct.errors import (
    AmbiguousHeaders,
    AnswerNotKept,
    ArqueductError,
    ComplexJSON,
    DependencyUnavailable,
    Forbidden,
    HeadersTooLarge,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    InvalidJSON,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    RateLimited,
    RequestTooLarge,
    SlowBody,
)
from arqueduct.permissions import Permission
from arqueduct_backend.access import Needs
from arqueduct_backend.deprecation import Deprecated
from arqueduct_backend.examples import TAGS, add_examples
from arqueduct_backend.idempotency import Always, Once, once
from arqueduct_backend.problems import Problem, answers, merged
from arqueduct_backend.routing import LENIENT, OnlyKnown, known_parameters, parameters_of
from arqueduct_backend.webhook_schemas import webhooks

__all__ = ["API", "describe", "implied", "operation_id", "permissions_of"]

KEYS = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer <API key or access token>`. One of the two ways is enough. "
        "`arqueduct up` keeps its first key in `credentials.json` of the data folder; `POST /keys` makes more.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key as it is. One of the two ways is enough; the key is the same for both.",
    },
}
OPEN = "probes"
"""The tag of routes that need no key."""


class API(FastAPI):
    """Makes the description of a FastAPI application complete."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            described = super().openapi()
            components = described.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs", {})
            schemas[Problem.__name__] = problem
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            described["webhooks"] = webhooks(schemas)
            components["securitySchemes"] = KEYS
            described["security"] = [{name: []} for name in KEYS]
            described["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
            for operation in _operations(described):
                if OPEN in operation.get("tags", ()):
                    operation["security"] = []
                add_examples(operation, schemas)
        return self.openapi_schema or {}


def describe(route: BaseRoute, *, is_strict: bool = True) -> None:
    """Gives a route what follows from its declarations. May be called again: routers outlive applications."""
    if not isinstance(route, APIRoute):
        return
    asked = [dependency.dependency for dependency in route.dependencies]
    permissions = permissions_of(route)
    if is_strict and LENIENT.dependency not in asked and not any(isinstance(found, OnlyKnown) for found in asked):
        route.dependencies.append(params.Depends(OnlyKnown(known_parameters(route))))
    if permissions and route.methods == {"POST"} and not any(isinstance(found, Once | Always) for found in asked):
        route.dependencies.append(once())
    if permissions:
        route.openapi_extra = {**(route.openapi_extra or {}), "x-permission": " ".join(permissions)}
    if any(isinstance(found, Deprecated) for found in asked):
        route.deprecated = True
    if is_strict:
        route.responses = merged(answers(*implied(route)), route.responses)


def implied(route: APIRoute) -> Iterator[type[ArqueductError]]:
    """The problems that a route can answer whatever its handler does."""
    declared = parameters_of(route)
    yield from (InvalidRequest, DependencyUnavailable, HeadersTooLarge, AmbiguousHeaders)
    if permissions_of(route):
        yield from (NotAuthenticated, Forbidden, RateLimited)
    if any(place == "path" for place, _ in declared):
        yield NotFound
    if ("header", "If-Match") in declared:
        yield PreconditionFailed
    if route.body_field is not None:
        yield from (RequestTooLarge, SlowBody, InvalidJSON, ComplexJSON)
    if any(isinstance(found.dependency, Once) for found in route.dependencies):
        yield from (RequestTooLarge, SlowBody, IdempotencyInFlight, AnswerNotKept, IdempotencyKeyReused)


def permissions_of(route: APIRoute) -> list[Permission]:
    """What its caller needs, all of it; none for routes that are open."""
    return [asked.dependency.permission for asked in route.dependencies if isinstance(asked.dependency, Needs)]


def operation_id(route: APIRoute) -> str:
    """The handler's name: `list_documents`."""
    return route.name


def _operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in described["paths"].values() for operation in path.values()]
