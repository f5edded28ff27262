"""Refuses requests that say two things at once. Whoever stands in front of the API may have looked at the other one."""

from collections import Counter

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from arqueduct.errors import AmbiguousHeaders
from arqueduct_backend.dependencies import presented
from arqueduct_backend.live import handshake
from arqueduct_backend.problems import problem_of

__all__ = ["ONCE", "Unambiguous"]

ONCE = ("Host", "Authorization", "X-API-Key")
"""Headers that may come once, also where both say the same."""


class Unambiguous:
    """Answers 400 where a header of `ONCE` comes twice, or where two credentials differ."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (said := _ambiguous(scope)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await handshake.refuse(WebSocket(scope, receive, send), AmbiguousHeaders(said))
        else:
            answer = problem_of(Request(scope), AmbiguousHeaders(said), headers={"Connection": "close"})
            await answer(scope, receive, send)


def _ambiguous(scope: Scope) -> str | None:
    """What is, if anything. An `Authorization` of another scheme than Bearer is some proxy's, and none of ours."""
    counts = Counter(name for name, _ in scope["headers"])
    for name in ONCE:
        if counts[name.lower().encode()] > 1:
            return f"There is more than one `{name}` header."
    if len({*presented(HTTPConnection(scope)), *_offered(scope)}) > 1:
        return "There is more than one credential, and they differ."
    return None


def _offered(scope: Scope) -> list[str]:
    """Those among the subprotocols of a socket."""
    offered: list[str] = scope.get("subprotocols", [])
    return [name.removeprefix(handshake.BEARER) for name in offered if name.startswith(handshake.BEARER)]
