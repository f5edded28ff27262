"""Ends this process with the one that started it, whichever way that one ends."""

import ctypes
import os
import signal
import sys
import threading
import time

__all__ = ["die_with"]

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 0.5
"""Where the kernel has no such signal (macOS) we look ourselves, this often."""


def die_with(parent: int, death_signal: signal.Signals) -> None:
    """Asks for `death_signal` at the death of process `parent`; sends it at once if that one is gone already.

    The kernel watches the thread that forked us, so the parent must start us from a thread that stays.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    else:
        threading.Thread(target=_look, args=(parent, death_signal), name="parent", daemon=True).start()
    if os.getppid() != parent:
        os.kill(os.getpid(), death_signal)


def _look(parent: int, death_signal: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), death_signal)
