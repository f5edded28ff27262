"""Where attempts keep their files while they run: a folder a worker process, so that nobody's leftovers pile up."""

import os
import shutil
from pathlib import Path

from arqueduct.processes import is_alive
from arqueduct.settings import Settings

__all__ = ["open_workspace"]


def open_workspace(settings: Settings) -> Path:
    """This process's empty folder; what killed workers of this machine left is removed. Blocks."""
    settings.temporary_dir.mkdir(parents=True, exist_ok=True)
    for folder in settings.temporary_dir.glob("worker-*/"):
        pid = folder.name.removeprefix("worker-")
        if pid.isdigit() and (int(pid) == os.getpid() or not is_alive(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)
    mine = settings.temporary_dir.absolute() / f"worker-{os.getpid()}"
    mine.mkdir(mode=0o700, exist_ok=True)
    return mine
