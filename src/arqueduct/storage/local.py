"""What a folder on this machine needs beyond what obstore does for it; every function here blocks."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["make_private", "prove_writable", "put", "read", "remove_halves", "remove_leftovers", "settle"]

PRIVATE = 0o700
"""Documents of users: no other account of this machine may read them, whatever the umask says."""

HALF = re.compile(r".+#[0-9]+")
"""What is written before it is renamed to `.+`; no key has a `#`."""


def make_private(folder: Path) -> None:
    """Creates a folder and the missing ones above it for this account only; existing ones stay as they are."""
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(mode=PRIVATE, exist_ok=True)


def put(content: bytes, target: Path) -> None:
    """Writes a file, replacing what is there; others see the old bytes or the new ones, never a part."""
    half = target.with_name(f"{target.name}#{secrets.randbelow(10**12)}")
    try:
        try:
            file = half.open("xb")
        except FileNotFoundError:
            make_private(target.parent)
            file = half.open("xb")
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    _flush(target.parent)


def settle(path: Path) -> None:
    """Flushes a file and its entry in the folder to the disk.

    A blob is written before the row that promises it, so it has to survive the power failure that the row survives.
    """
    _flush(path)
    _flush(path.parent)


def read(path: Path, most: int) -> bytes | None:
    """The content of a file, if it has at most so many bytes."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def _flush(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Removes what a listing does not show: empty folders, and the halves of files whose writer was killed."""
    shutil.rmtree(folder, ignore_errors=True)


def remove_halves(root: Path, before: float) -> Iterator[list[int]]:
    """Removes halves of files last written before that time (of `os.stat`); yields their sizes, folder by folder.

    Folders that this leaves empty go too.
    """
    for place, _, names in os.walk(root):
        sizes = []
        for name in filter(HALF.fullmatch, names):
            half = Path(place, name)
            try:
                status = half.stat()
                if status.st_mtime < before:
                    half.unlink()
                    sizes.append(status.st_size)
            except FileNotFoundError:  # its writer finished it, or somebody deleted the blob
                continue
        if sizes:
            _remove_empty(Path(place), root)
        yield sizes


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty
            return
        folder = folder.parent


def prove_writable(root: Path) -> None:
    """Raises `FileNotFoundError` or `PermissionError`; a volume that is not mounted is the usual cause."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder")
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{root} cannot be written by this account")
