"""What lies in the data folder, and which process holds it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from arqueduct.embedded.lock import Lock
from arqueduct.errors import SetupError
from arqueduct.processes import is_alive
from arqueduct.supervisor import records
from arqueduct.supervisor.records import Credentials, Runtime

__all__ = ["DataFolder"]

OURS_ALONE = 0o700
ENTERABLE = 0o711
"""Where root starts it, the servers run as another user and must get through to their own folders."""


@dataclass(frozen=True)
class DataFolder:
    """Names of the files below `path`, which is absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> "DataFolder":
        return cls(path.expanduser().absolute())

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials.json"

    @property
    def runtime(self) -> Path:
        return self.path / "runtime.json"

    def exists(self) -> bool:
        return self.path.is_dir()

    def has_database(self) -> bool:
        """Whether a cluster was ever made here; also one whose folder on the shelf is gone, which is an error later."""
        return self.postgres.is_symlink() or self.postgres.exists()

    def hold(self) -> Lock:
        """Makes the folder if need be and takes it for this process.

        Raises `SetupError` if another process has it, or if it cannot be written to.
        """
        if running := self.running():
            holder = running.pids["up"][0]
            raise SetupError(
                f"{self.path} is in use by process {holder}: a server runs there already, at {running.url}.",
                advice="Use that one or stop it, or choose another folder with --data-dir or ARQUEDUCT_DATA_DIR.",
            )
        try:
            self.path.mkdir(mode=OURS_ALONE if os.geteuid() else ENTERABLE, parents=True, exist_ok=True)
            for folder in (self.logs, self.temporary):
                folder.mkdir(mode=OURS_ALONE, exist_ok=True)
            return Lock(self.path / "lock").hold(self.path)
        except OSError as error:
            raise SetupError(
                f"{self.path} cannot be used: {_reason(error)}.",
                advice="Choose another folder with --data-dir or ARQUEDUCT_DATA_DIR.",
            ) from error

    def empty_temporary(self) -> None:
        """Leftovers of processes that were killed. Only while nothing runs."""
        for entry in self.temporary.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def running(self) -> Runtime | None:
        """What `arqueduct up` runs in this folder now; `None` also after it was killed, when the file stayed."""
        runtime = records.read(self.runtime, Runtime)
        if runtime is None or not any(map(is_alive, runtime.pids.get("up", []))):
            return None
        return runtime if self._is_held() else None

    def known_credentials(self) -> Credentials | None:
        return records.read(self.credentials, Credentials)

    def _is_held(self) -> bool:
        """The process id of one that was killed may belong to somebody else meanwhile; the lock cannot."""
        probe = Lock(self.path / "lock")
        is_free = probe.take()
        probe.release()
        return not is_free


def _reason(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "a file is there, not a folder"
    return error.strerror or str(error)
