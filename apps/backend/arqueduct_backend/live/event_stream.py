"""The same messages as server-sent events, for where sockets do not get through."""

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from arqueduct.identity import Identity
from arqueduct_backend.live.bridge import Bridge
from arqueduct_backend.live.client import Client
from arqueduct_backend.live.closing import TOO_SLOW
from contextlib import ExitStack

__all__ = ["EventStream"]

PING_SECONDS = 15
"""A comment this often keeps proxies from cutting the stream."""


class EventStream(EventSourceResponse):
    """Never ends by itself. Raises `TooManyConnections` when it is made, so that the answer can still be a problem."""

    def __init__(self, bridge: Bridge, identity: Identity) -> None:
        self._client = Client(identity, "sse")
        self._attached = ExitStack()
        self._messages = self._attached.enter_context(bridge.attached(self._client))
        super().__init__(
            self._events(), ping=PING_SECONDS, sep="\n", send_timeout=bridge.limits.send, headers={"X-Accel-Buffering": "no"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._attached:
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                self._client.end(TOO_SLOW)

    async def _events(self) -> AsyncIterator[ServerSentEvent]:
        async for message in self._messages:
            yield ServerSentEvent(message.text, event=message.type, id=message.id, sep="\n")
