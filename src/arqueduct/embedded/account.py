"""The OS user that runs the servers, and what that user can reach on the disk."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from arqueduct.errors import SetupError

__all__ = ["Account", "can_enter", "can_reach", "can_read", "choose_account", "name_of"]

UNPRIVILEGED = ("postgres", "nobody")
"""Users that root lends the servers to: Postgres refuses to run as root, and Valkey has no need to."""


@dataclass(frozen=True, kw_only=True)
class Account:
    name: str
    uid: int
    gid: int


def choose_account(owner: int | None = None) -> Account:
    """Ourselves, or for root an unprivileged user: the one who owns the data if there is data (`owner`, a uid).

    Raises `SetupError` when the machine has none of `UNPRIVILEGED`, or when the owner is somebody else.
    """
    if os.geteuid() != 0:
        return Account(name=name_of(os.geteuid()), uid=os.geteuid(), gid=os.getegid())
    accounts = [
        Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
        for entry in sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != UNPRIVILEGED[0])
        if entry.pw_name in UNPRIVILEGED and (owner is None or entry.pw_uid == owner)
    ]
    if accounts:
        return accounts[0]
    if owner is None:
        raise SetupError("Postgres refuses to run as root, and there is neither a user `postgres` nor a user `nobody`.")
    raise SetupError(f"The data belong to the OS user {name_of(owner)}, not to {' or '.join(UNPRIVILEGED)}.")


def name_of(uid: int) -> str:
    """The user's name; the number where the machine knows no name for it, as in many containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def can_reach(account: Account, path: Path) -> bool:
    """Whether the user can pass through every folder above `path`. Access lists are not looked at."""
    return all(_may(account, folder, stat.S_IXOTH) for folder in path.resolve().parents)


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the user can pass through the folder and all above it."""
    return can_reach(account, folder) and _may(account, folder, stat.S_IXOTH)


def can_read(account: Account, path: Path) -> bool:
    """Whether the user can reach and read the file."""
    return can_reach(account, path) and _may(account, path, stat.S_IROTH)


def _may(account: Account, path: Path, bits: int) -> bool:
    status = path.stat()
    if account.uid == 0:
        return True
    shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
    return (status.st_mode >> shift) & bits == bits
