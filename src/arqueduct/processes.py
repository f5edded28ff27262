"""Asking about processes of this machine."""

import os

__all__ = ["is_alive"]


def is_alive(pid: int) -> bool:
    """Whether a process has this id, whoever's it is; ids are given again, so it may be another by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
