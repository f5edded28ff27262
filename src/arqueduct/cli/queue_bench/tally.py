"""Counting jobs across processes without taking part in what is measured: 32 bytes of shared memory a worker."""

import mmap
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Reading", "Tally", "read"]

LAYOUT = struct.Struct("=qddq")


class Reading(NamedTuple):
    """`first` and `last` are monotonic seconds, which all processes of a machine share."""

    jobs: int
    first: float
    last: float
    is_ready: bool


class Tally:
    """The writing side, in the worker."""

    def __init__(self, path: Path) -> None:
        with path.open("w+b") as file:
            file.truncate(LAYOUT.size)
            self._memory = mmap.mmap(file.fileno(), LAYOUT.size)
        self._count = 0
        self._first = 0.0

    def be_ready(self) -> None:
        LAYOUT.pack_into(self._memory, 0, 0, 0.0, 0.0, 1)

    def tick(self) -> None:
        """Counts one job."""
        now = time.monotonic()
        if not self._count:
            self._first = now
        self._count += 1
        LAYOUT.pack_into(self._memory, 0, self._count, self._first, now, 1)


def read(paths: Iterable[Path]) -> list[Reading]:
    """Of each worker that has begun to count."""
    contents = (path.read_bytes() for path in paths if path.exists())
    found = [LAYOUT.unpack(content) for content in contents if len(content) == LAYOUT.size]
    return [Reading(jobs, first, last, bool(is_ready)) for jobs, first, last, is_ready in found]
