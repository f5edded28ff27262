"""Locks on a server's folder. The kernel drops them with the last process that holds them: none is ever stale."""

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from arqueduct.errors import SetupError

__all__ = ["Lock"]


class Lock:
    """A locked file with the holder's process id in it.

    A child that inherits the open file holds the lock as well, also after its parent has let go of it or died.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def fileno(self) -> int:
        if self._file is None:
            raise ValueError(f"{self.path} is not held")
        return self._file

    def take(self) -> bool:
        """Whether the lock is ours now."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        os.ftruncate(file, 0)
        self._file = file
        return True

    def hold(self, folder: Path) -> "Lock":
        """Takes the lock under our own process id. Raises `SetupError` that names the folder and who holds it."""
        if not self.take():
            raise SetupError(
                f"{folder} is in use by process {self.holder() or 'unknown'}.",
                advice="Stop that one, or choose another folder with --data-dir or ARQUEDUCT_DATA_DIR.",
            )
        os.pwrite(self.fileno(), str(os.getpid()).encode(), 0)
        return self

    def holder(self) -> int | None:
        """Process id that the file names; means something only while the lock is held."""
        content = self.path.read_text()
        return int(content) if content.isdigit() else None

    def seize(self, polite: signal.Signals, patience: float) -> "Lock":
        """Takes the lock from a process that outlived its parent: asks it to end, and kills it after `patience` s.

        Stopped and not adopted: it is no child of ours, so we could neither wait for it nor be followed by it, and
        it may run with other settings. On Linux it is on its way out anyway.
        """
        kill_at = time.monotonic() + patience
        give_up_at = kill_at + 5
        asked = None
        while not self.take():
            holder, now = self.holder(), time.monotonic()
            if now > give_up_at:
                raise SetupError(
                    f"Process {holder} holds {self.path} and does not end.", advice="Stop it and try again."
                )
            wish = signal.SIGKILL if now > kill_at else polite
            if holder and (holder, wish) != asked:
                asked = holder, wish
                with contextlib.suppress(ProcessLookupError):
                    os.kill(holder, wish)
            time.sleep(0.01)
        return self

    def release(self) -> None:
        """Closes our hold; not `LOCK_UN`, which would take the lock from the child as well."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
