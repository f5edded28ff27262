"""Which routes there are, as whole templates: for metrics, and for the `Allow` header."""

from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, compile_path
from starlette.types import Scope

__all__ = ["UNMATCHED", "Routes", "template_of"]

UNMATCHED = "unmatched"


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
        """All that some route knows at this path; the framework itself names those of one route only."""
        return sorted({method for pattern, methods in self._methods if pattern.match(path) for method in methods})


def template_of(scope: Scope) -> str:
    """`/api/v1/jobs/{job_id}`: bounded, unlike paths. `unmatched` where no route is."""
    routes: Routes = scope["app"].state.routes
    return routes.template(scope.get("route"))
