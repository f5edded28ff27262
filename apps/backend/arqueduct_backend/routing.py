"""Which routes there are, as templates: for metrics, and for the `Allow` header."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

__all__ = ["UNMATCHED", "methods_at", "template_of"]

UNMATCHED = "unmatched"


def template_of(scope: Scope) -> str:
    """`/api/v1/jobs/{job_id}`: bounded, unlike paths. `unmatched` where no route is."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED


def methods_at(routes: Iterable[BaseRoute], path: str) -> set[str]:
    """All methods that some route knows at this path; the framework itself names those of one route only."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    matching = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()}
