"""Which of the jobs that run count towards `worker_concurrency`."""

from collections.abc import Callable

__all__ = ["Slots"]

MOST_LENT = 256
"""Jobs beyond `worker_concurrency`: each keeps a small folder and a line in every heartbeat."""


class Slots:
    """A job whose texts all wait for their vectors lends its slot to the next: only so do requests to the model fill.

    What waits there is bounded by the room for texts, and hardly costs anything.
    """

    def __init__(self, *, most: int = MOST_LENT) -> None:
        self.lent = 0
        self.on_lent: Callable[[], None] = lambda: None
        self._most = most

    def lend(self) -> bool:
        """False: too many are lent already, and the job keeps its own."""
        if self.lent >= self._most:
            return False
        self.lent += 1
        self.on_lent()
        return True

    def end(self) -> None:
        """A job that had lent its slot has ended."""
        self.lent -= 1
