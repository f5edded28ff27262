"""The API's own description: OpenAPI, with problems as they are and both ways to send a key."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from arqueduct.errors import Forbidden, NotAuthenticated
from arqueduct.permissions import Permission
from arqueduct_backend.access import Needs
from arqueduct_backend.problems import Problem, answers

__all__ = ["API", "describe", "operation_id", "permission_of"]

KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <API key>`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
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
            components["securitySchemes"] = KEYS
            described["security"] = [{name: []} for name in KEYS]
            for operation in _operations(described):
                if OPEN in operation.get("tags", ()):
                    operation["security"] = []
        return self.openapi_schema or {}


def describe(route: BaseRoute) -> None:
    """Adds what `needs` says to the description of a route: the permission, and the answers without it."""
    if isinstance(route, APIRoute) and (permission := permission_of(route)):
        route.openapi_extra = {**(route.openapi_extra or {}), "x-permission": str(permission)}
        route.responses = {**answers(NotAuthenticated, Forbidden), **route.responses}


def permission_of(route: APIRoute) -> Permission | None:
    """What its caller needs; none for routes that are open."""
    found = [asked.dependency.permission for asked in route.dependencies if isinstance(asked.dependency, Needs)]
    return found[0] if found else None


def operation_id(route: APIRoute) -> str:
    """The handler's name: `list_documents`."""
    return route.name


def _operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in described["paths"].values() for operation in path.values()]
