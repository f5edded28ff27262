"""Where a server's files lie, and whose they are.

The folder that the caller names, unless root starts a server whose user cannot enter it: then a folder below
/var/lib/arqueduct, and the caller's folder is a link to it. Folders above are never opened for others.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from arqueduct.embedded.account import Account, can_enter, can_reach, can_read, choose_account, name_of
from arqueduct.embedded.binaries import Bundle
from arqueduct.embedded.lock import Lock
from arqueduct.errors import SetupError

__all__ = ["Home", "borrow", "open_home", "remove"]

SHELF = Path("/var/lib/arqueduct")
ENTERABLE = 0o711
"""The server's user passes through to its data, and reads nothing else."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Home:
    """`folder` is what the caller named, `path` where the files really are, `data` what the server itself owns."""

    folder: Path
    path: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.path / "data"

    def give_folder(self, path: Path) -> None:
        """Makes a new folder that belongs to the server's user alone."""
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(path, self.account.uid, self.account.gid)

    def give_file(self, path: Path, content: str) -> None:
        """Makes a new file that belongs to the server's user alone; follows no link that user may have laid."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), self.account.uid, self.account.gid)


def open_home(folder: Path) -> Home:
    """The home behind `folder`, made if need be.

    Raises `SetupError` if it belongs to another OS user, is closed to the server's user, or cannot be made.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - `resolve` would follow the link to the shelf
    try:
        if folder.is_symlink() and not folder.exists():
            raise SetupError(f"{folder} points to {folder.readlink()}, which is gone. Remove the link to begin anew.")
        if not folder.exists() or not any(folder.iterdir()):
            _make(folder)
        return _existing(folder)
    except PermissionError as error:
        raise SetupError(
            f"{folder} is closed to the OS user {name_of(os.geteuid())} ({error}). "
            "Start as the user who made it, or choose another folder with --data-dir or ARQUEDUCT_DATA_DIR."
        ) from error
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be used: {error}. Choose another folder with --data-dir or ARQUEDUCT_DATA_DIR."
        ) from error


def remove(folder: Path) -> None:
    """Deletes a stopped server's folder with all data, also what it points to. Raises `SetupError` if in use."""
    if not folder.is_symlink() and not folder.exists():
        return
    if folder.exists():
        Lock(folder / "lock").hold(folder).release()
        shutil.rmtree(folder.resolve())
    if folder.is_symlink():
        folder.unlink()


def borrow(bundle: Bundle | None, program: Path, needed: Path, account: Account) -> Path:
    """`program`, or a copy on the shelf if the account cannot read it and the file `needed`. One copy a version."""
    if can_read(account, program) and can_read(account, needed):
        return program
    if bundle is None:
        raise SetupError(
            f"The OS user {account.name}, which runs the server, cannot read {program}. "
            "Open its folder, or run `pip install 'arqueduct[embedded]'`."
        )
    target = _opened(_opened(SHELF) / "programs") / bundle.label
    if not target.exists():
        _copy(bundle, target)
    return target / program.relative_to(bundle.base)


def _existing(folder: Path) -> Home:
    path = folder.resolve()
    if (owner := path.stat().st_uid) != os.geteuid():
        raise SetupError(
            f"{folder} belongs to the OS user {name_of(owner)}, but this process runs as {name_of(os.geteuid())}. "
            "Start as the same user as before, or choose another folder with --data-dir or ARQUEDUCT_DATA_DIR."
        )
    data = path / "data"
    home = Home(folder=folder, path=path, account=choose_account(data.stat().st_uid if data.exists() else None))
    if not can_enter(home.account, path):
        raise SetupError(
            f"The OS user {home.account.name}, which runs the server, can no longer enter {path}. "
            "Open the folders above it again, or move it to where it can be reached."
        )
    return home


def _make(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        return  # `_existing` refuses it
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, exist_ok=True)
    elif can_reach(choose_account(), folder):
        folder.mkdir(exist_ok=True)
        folder.chmod(ENTERABLE)
    else:
        _make_on_shelf(folder)


def _make_on_shelf(folder: Path) -> None:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if left := list(SHELF.glob(f"{name}-*")):
        # Not removed: the folder may only have been moved, and its link still leads here.
        log.warning("older data of a folder of this name", folder=str(folder), left=[str(path) for path in left])
    path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_opened(SHELF)))
    path.chmod(ENTERABLE)
    (path / "origin").write_text(f"{folder}\n")
    try:
        if folder.exists():
            folder.rmdir()
        folder.symlink_to(path)
    except FileExistsError:  # somebody else starts the same folder at this moment; the lock decides between us
        shutil.rmtree(path)


def _opened(path: Path) -> Path:
    """A folder of our own on the shelf, made if need be. One that exists is left as it is."""
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(ENTERABLE)
    return path


def _copy(bundle: Bundle, target: Path) -> None:
    """Appears whole or not at all; readable for everybody, whatever the umask of the installation was."""
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    try:
        for part in bundle.parts:
            source, copy = bundle.base / part, unfinished / part
            if source.is_dir():
                shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("*.a", "doc", "include"))
            else:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        unfinished.rename(target)
    except OSError:
        shutil.rmtree(unfinished)
        if not target.exists():  # else somebody else was faster
            raise
