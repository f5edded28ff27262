"""A bound on what many tasks hold in memory together."""

import asyncio
from collections import deque

__all__ = ["Room"]


class Room:
    """So much space. Who needs more than is left waits; first come, first served, so that large ones get their turn."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, amount: int) -> int:
        """Waits for it; returns what to `give` back. More than there is at all counts as all."""
        amount = min(amount, self._size)
        if self._waiting or amount > self._left:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((amount, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # it came just before
                    self.give(amount)
                else:
                    self._serve()  # the next may need less
                raise
        else:
            self._left -= amount
        return amount

    def give(self, amount: int) -> None:
        self._left += amount
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
            elif amount <= self._left:
                self._waiting.popleft()
                self._left -= amount
                turn.set_result(None)
            else:
                return
