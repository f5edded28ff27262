"""How a route says that it goes: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and a link to what to do."""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from fastapi import Depends
from starlette.requests import Request

from arqueduct_backend.problems import HEADERS

__all__ = ["Deprecated", "deprecated"]


class Deprecated:
    """Puts the headers on every answer of a route, problems too."""

    def __init__(self, since: date, sunset: date, link: str) -> None:
        if sunset <= since:
            raise ValueError("a route goes after it was deprecated, not before")
        self.headers = {
            "Deprecation": f"@{int(_midnight(since).timestamp())}",
            "Sunset": format_datetime(_midnight(sunset), usegmt=True),
            "Link": f'<{link}>; rel="deprecation"; type="text/markdown", <{link}>; rel="sunset"',
        }

    async def __call__(self, request: Request) -> None:
        request.scope.setdefault(HEADERS, {}).update(self.headers)


def deprecated(since: date, sunset: date, link: str) -> Any:
    """For `dependencies=[…]` of a route that goes at `sunset`; `api.describe` says so in the description too."""
    return Depends(Deprecated(since, sunset, link))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
