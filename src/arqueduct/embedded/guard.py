"""Becomes a server that ends with its parent: run as a script, it never returns.

    python -I -S guard.py PARENT SIGNAL UID GID LOCK PROGRAM [ARGUMENT …]

A script of its own and not a function between fork and exec: Python code there can deadlock in a process that has
threads. The signal that the kernel sends at the parent's death is set last, since a change of user clears it.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, uid, gid, lock = map(int, sys.argv[1:6])
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    if libc is not None and libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit("the parent died before its server began")
    os.execv(sys.argv[6], sys.argv[6:])  # noqa: S606 - a list of our own making


if __name__ == "__main__":
    main()
