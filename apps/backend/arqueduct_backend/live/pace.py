"""How fast one client may talk."""

__all__ = ["Pace"]


class Pace:
    """So many a second on average, and so many at once."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._most = float(at_once)
        self._left = self._most
        self._at: float | None = None

    def takes(self, now: float) -> bool:
        """Whether one more is within the pace; `now` are seconds of a clock that never goes back."""
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._left = min(self._most, self._left + passed * self._per_second)
        if self._left < 1:
            return False
        self._left -= 1
        return True
