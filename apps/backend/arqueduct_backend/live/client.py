"""One live connection, whatever carries it: what it still has to hear, and whether it is to end."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, TypeAlias, get_args

from arqueduct import metrics
from arqueduct.errors import DependencyUnavailable, NotAuthenticated
from arqueduct.events import MessageType
from arqueduct.identity import Identity
from arqueduct.ids import new_id
from arqueduct_backend.live import updates
from arqueduct_backend.live.closing import NOT_SIGNED_IN, TOO_SLOW, TRY_LATER, Close
from arqueduct_backend.live.slot import Slot
from arqueduct_backend.live.snapshots import Snapshot
from arqueduct_backend.live.updates import Notice, Outgoing, Update
from arqueduct_backend.protocols import Write

__all__ = ["HEARTBEAT_SECONDS", "Client", "Transport", "count"]

Transport: TypeAlias = Literal["websocket", "sse"]

HEARTBEAT_SECONDS = 20
"""Proxies cut what is silent for 60 s. uvicorn's own ping interval on sockets, rounded up from 15 for SSE."""

MOST_ANSWERS = 50
"""Answers that may wait for one client; one that asks faster than it listens loses the oldest."""


class Client:
    """Written to by the bridge at any moment, without waiting; read by the one task that sends."""

    def __init__(self, identity: Identity, transport: Transport, write: Write | None = None) -> None:
        """`write`: what the transport offers for whole frames."""
        self.id = str(new_id())
        """Told to the client, which says it when it comes back."""
        self.identity = identity
        self.transport = transport
        self.slot = Slot()
        self.close: Close | None = None
        self.limit = asyncio.timeout(None)
        """The sender runs inside; pulled in to end a send that hangs."""
        self.began = asyncio.get_running_loop().time()
        self._write = write
        self._sending_since: float | None = None
        self._answers: deque[Notice] = deque(maxlen=MOST_ANSWERS)
        self._wake = asyncio.Event()

    def write(self, updates: Sequence[Update], frames: bytes) -> bool:
        """Sends updates, framed already, where the sender has nothing to do. False: they are to be offered."""
        if self._write is None or self._sending_since is not None or self.close is not None:
            return False
        if not self.slot.are_next(updates) or not self._write(frames):
            return False
        self.slot.passed(updates)
        return True

    def offer(self, update: Update) -> bool:
        """Takes an update to send. False: the client knows as much already."""
        if not self.slot.offer(update):
            return False
        if self.slot.is_full:
            self.end(TOO_SLOW)
        self._wake.set()
        return True

    def answer(self, notice: Notice) -> None:
        self._answers.append(notice)
        self._wake.set()

    def end(self, close: Close) -> None:
        """Ends the connection; the first reason counts."""
        if self.close is not None:
            return
        self.close = close
        self._wake.set()
        if self._sending_since is not None:
            self.limit.reschedule(asyncio.get_running_loop().time())

    def sends_longer_than(self, seconds: float) -> bool:
        began = self._sending_since
        return began is not None and asyncio.get_running_loop().time() - began > seconds

    async def messages(self, snapshot: Callable[[], Awaitable[Snapshot]]) -> AsyncGenerator[Outgoing]:
        """Greeting, snapshot, then what comes, until the connection is to end. Counts each as it is taken."""
        yield self._counted(updates.hello(self.identity.user_id, HEARTBEAT_SECONDS, self.id))
        try:
            first = await snapshot()
        except DependencyUnavailable:
            self.end(TRY_LATER)
            return
        except NotAuthenticated:
            self.end(NOT_SIGNED_IN)
            return
        self.slot.open(first.seqs)
        yield self._counted(first.notice)
        while self.close is None:
            self._wake.clear()
            while self.close is None and (message := self._next()) is not None:
                yield self._counted(message)
            await self._wake.wait()

    def sending(self) -> None:
        self._sending_since = asyncio.get_running_loop().time()

    def sent(self) -> None:
        self._sending_since = None

    def _next(self) -> Outgoing | None:
        return self._answers.popleft() if self._answers else self.slot.pop()

    def _counted(self, message: Outgoing) -> Outgoing:
        count(message)
        return message


def count(message: Outgoing, times: int = 1) -> None:
    """As sent so many times."""
    _COUNTERS.get(message.type, _OTHER).inc(times)


_COUNTERS = {
    kind: metrics.socket_messages.labels(kind)
    for kind in ("hello", "snapshot", "pong", "error", *get_args(MessageType))
}
"""Looking a label up costs more than counting; and what comes over Redis makes no label of its own."""
_OTHER = metrics.socket_messages.labels("other")
