"""How long transactions were open while one request was answered, for `Server-Timing`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Held", "counting", "holding"]


class Held:
    """Seconds in which at least one transaction was open."""

    def __init__(self) -> None:
        self._open = 0
        self._since = 0.0
        self._before = 0.0

    @property
    def seconds(self) -> float:
        return self._before + (time.perf_counter() - self._since if self._open else 0.0)

    def begin(self) -> None:
        if not self._open:
            self._since = time.perf_counter()
        self._open += 1

    def end(self) -> None:
        self._before = self.seconds
        self._since = time.perf_counter()
        self._open -= 1


_held: ContextVar[Held | None] = ContextVar("held", default=None)


def counting() -> Held:
    """Counts what this task, and those that it starts, hold from now on."""
    held = Held()
    _held.set(held)
    return held


@contextmanager
def holding() -> Iterator[None]:
    """Around a transaction. Costs nothing where nobody counts."""
    held = _held.get()
    if held is None:
        yield
        return
    held.begin()
    try:
        yield
    finally:
        held.end()
