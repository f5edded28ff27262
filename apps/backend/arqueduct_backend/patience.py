"""How long a body may keep its reader waiting."""

import asyncio
import time

from starlette.types import Message, Receive

from arqueduct.errors import SlowBody

__all__ = ["LEAST_BYTES_PER_SECOND", "Patience"]

LEAST_BYTES_PER_SECOND = 500
"""On average, once the first `idle` seconds are used up: the slowest modem sends ten times as much. Without it a byte
every few seconds would hold a connection and a file for ever.
"""


class Patience:
    """Counts only the time that was spent waiting, so a server that is slow itself blames nobody."""

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._waited = 0.0
        self._received = 0

    async def next(self, receive: Receive) -> Message:
        """The next message. Raises `SlowBody`."""
        left = self._idle + self._received / LEAST_BYTES_PER_SECOND - self._waited
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._idle, max(0.0, left))):
                message = await receive()
        except TimeoutError:
            raise SlowBody(
                f"The body stood still for {self._idle:g} seconds, or came slower than "
                f"{LEAST_BYTES_PER_SECOND} bytes a second; {self._received:,} bytes had come."
            ) from None
        self._waited += time.monotonic() - began
        self._received += len(message.get("body", b""))
        return message
