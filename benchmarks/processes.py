"""CPU and memory of a process with all that it started."""

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

__all__ = ["PeakMemory", "cpu_seconds", "resident"]

LOOK_SECONDS = 0.1


def cpu_seconds(pid: int) -> float:
    """Of the process, its live descendants, and those that they have waited for."""
    return sum(sum(process.cpu_times()[:4]) for process in _tree(pid) if process.is_running())


def resident(pids: Iterable[int]) -> int:
    """Bytes of the trees below these processes. Pages that several share count once for each."""
    total = 0
    for process in {process for pid in pids for process in _tree(pid)}:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


class PeakMemory:
    """Looks ten times a second, from `start` to `stop`, at a tree and at a part of it."""

    def __init__(self, pid: int) -> None:
        self.whole = 0
        self.part = 0
        """Of the processes given to `start`: those that carry documents, without the API and its supervisor."""
        self._pid = pid
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, part: Sequence[int]) -> None:
        self._thread = threading.Thread(target=self._watch, args=(part or [self._pid],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, part: Sequence[int]) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            self.whole = max(self.whole, resident([self._pid]))
            self.part = max(self.part, resident(part))
            self._ended.wait(max(0.01, LOOK_SECONDS - (time.monotonic() - began)))


def _tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []
