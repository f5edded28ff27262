"""No process of ours is left behind when its parent is killed with -9."""

import ctypes
import os
import signal
import sys
from typing import Final

__all__ = ["die_with"]

PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Ends this process with that one, which started it; on systems without the means it does nothing, unless it came
    too late."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
