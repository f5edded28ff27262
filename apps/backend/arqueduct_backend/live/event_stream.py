"""The same messages as server-sent events, for where sockets do not get through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from arqueduct.identity import Identity
from arqueduct_backend.live.bridge import Bridge
from arqueduct_backend.live.client import Client
from arqueduct_backend.live.closing import RESTART, TOO_SLOW

__all__ = ["EventStream"]

PING_SECONDS = 15
"""A comment this often keeps proxies from cutting the stream."""

GRACE_SECONDS = 2.0
"""To finish the message under way when the server stops; then the stream is cut."""


class EventStream(EventSourceResponse):
    """Never ends by itself. Raises `TooManyConnections` when called, before anything is sent."""

    def __init__(self, bridge: Bridge, identity: Identity, last: str | None = None) -> None:
        """`last`: what the client says of the connection it had before."""
        self._bridge = bridge
        self._client = Client(identity, "sse")
        self._last = last
        self._stopping = anyio.Event()
        super().__init__(
            self._events(),
            ping=PING_SECONDS,
            sep="\n",
            send_timeout=bridge.limits.send,
            shutdown_event=self._stopping,
            shutdown_grace_period=GRACE_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._bridge.attached(self._client, self._last) as self._messages:
            ending = asyncio.create_task(self._end_when_stopping())
            try:
                await super().__call__(scope, receive, send)
            except SendTimeoutError:
                self._client.end(TOO_SLOW)
            finally:
                ending.cancel()

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        self._client.end(RESTART)

    async def _events(self) -> AsyncIterator[ServerSentEvent]:
        async with aclosing(self._messages) as messages:
            async for message in messages:
                yield ServerSentEvent(message.text, event=message.type, id=message.id, sep="\n")
