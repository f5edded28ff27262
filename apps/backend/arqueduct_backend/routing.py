"""Which routes there are, as whole templates: for metrics, and for the `Allow` header; and which parameters."""

from collections.abc import Iterable
from typing import Any, cast

from fastapi import Depends
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Param
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute, compile_path
from starlette.types import Scope

__all__ = ["LENIENT", "UNMATCHED", "OnlyKnown", "Routes", "known_parameters", "parameters_of", "template_of"]

UNMATCHED = "unmatched"
LONGEST_NAME = 100


class Routes:
    """The framework includes routers without copying their routes, and a route knows nothing of its prefix."""

    def __init__(self, included: Iterable[tuple[str, Iterable[BaseRoute]]]) -> None:
        """Pairs of a prefix and the routes below it."""
        self._paths: dict[int, str] = {}
        self._methods: list[tuple[Any, frozenset[str]]] = []
        for prefix, routes in included:
            for route in routes:
                path = prefix + getattr(route, "path", "")
                self._paths[id(route)] = path
                self._methods.append((compile_path(path)[0], frozenset(getattr(route, "methods", None) or ())))

    def template(self, route: BaseRoute | None) -> str:
        return self._paths.get(id(route), UNMATCHED)

    def methods_at(self, path: str) -> list[str]:
        """All that some route knows at this path; the framework itself names those of one route only.

        At `/jobs/cancel` only those of that path: what `/jobs/{job_id}` knows is meant for ids.
        """
        found = [(pattern.groups, methods) for pattern, methods in self._methods if pattern.match(path)]
        least = min((groups for groups, _ in found), default=0)
        return sorted({method for groups, methods in found if groups == least for method in methods})


def template_of(scope: Scope) -> str:
    """`/api/v1/jobs/{job_id}`: bounded, unlike paths. `unmatched` where no route is."""
    routes: Routes = scope["app"].state.routes
    return routes.template(scope.get("route"))


class OnlyKnown:
    """Refuses misspelt parameters: a filter that does not hold is worse than none.

    `api.describe` gives one to every route under /api/v1, unless it has `LENIENT` in its own dependencies.
    """

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    async def __call__(self, request: Request) -> None:
        """Raises `RequestValidationError`."""
        unknown = sorted(set(request.query_params) - self._known)
        if unknown:
            there_are = ", ".join(sorted(self._known)) or "none"
            detail = {"type": "extra_forbidden", "msg": f"There is no such parameter; there are: {there_are}."}
            raise RequestValidationError([{**detail, "loc": ("query", name[:LONGEST_NAME])} for name in unknown])


async def any_parameters() -> None:
    """Takes what comes: the one who sends it is no client of ours."""


LENIENT = Depends(any_parameters)


def known_parameters(route: APIRoute) -> frozenset[str]:
    """Those of the query that the route declares, by its signature or in its description."""
    declared = [name for place, name in parameters_of(route) if place == "query"]
    described = [item["name"] for item in (route.openapi_extra or {}).get("parameters", ()) if item["in"] == "query"]
    return frozenset(declared + described)


def parameters_of(route: APIRoute) -> set[tuple[str, str]]:
    """Place and name of all that its signature and its dependencies take."""
    found = get_flat_params(route.dependant)
    return {(cast("Param", field.field_info).in_.value, field.alias) for field in found}
