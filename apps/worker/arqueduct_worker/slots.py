"""Which of the jobs that run count towards `worker_concurrency`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Slots"]

MOST_LENT = 256
"""Jobs beyond `worker_concurrency`: each keeps a small folder and a line in every heartbeat."""


class Slots:
    """A small document whose texts wait for their vectors lends its slot to the next: only so do requests to the model
    fill. When it has them it counts again, and nothing new begins until as many have ended.
    """

    def __init__(self, *, most: int = MOST_LENT) -> None:
        self.lent = 0
        self.on_lent: Callable[[], None] = lambda: None
        self._most = most

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Where too many are lent already, the job keeps its own."""
        if self.lent >= self._most:
            yield
            return
        self.lent += 1
        self.on_lent()
        try:
            yield
        finally:
            self.lent -= 1
