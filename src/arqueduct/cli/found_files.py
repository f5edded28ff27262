"""Files that were named on the command line, and those below folders; what is not taken is said."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from rich.text import Text

from arqueduct.cli.output import err
from arqueduct.errors import SetupError

__all__ = ["Note", "files_of", "find_files", "noting", "readable"]

Note: TypeAlias = Callable[[str], None]
NAMED = 3
"""Of many that share a reason, so many are named."""


def find_files(paths: Iterable[Path], note: Note) -> list[Path]:
    """Files as given, and those below folders, sorted; nothing whose name begins with a dot is looked at there.

    `note` hears what is left out, and which names are not sent as they are. Raises `SetupError` for what is neither a
    file nor a folder.
    """
    found = {path.resolve(): path for given in paths for path in files_of(given, note)}
    return list(found.values())


def files_of(given: Path, note: Note) -> list[Path]:
    """Of one path, as `find_files`."""
    if given.is_dir():
        found, leading_out = _below(given)
        if leading_out:
            links = "1 link leads" if len(leading_out) == 1 else f"{len(leading_out):,} links lead"
            note(f"Left out, as {links} out of {readable(given)}: {_some(leading_out)}")
    elif given.is_file():
        found = [given]
    else:
        raise SetupError(
            f"{readable(given)} is no regular file.",
            advice="Name files and folders; save what comes from a pipe first.",
        )
    if odd := [path for path in found if readable(path) != str(path)]:
        names = "1 name is" if len(odd) == 1 else f"{len(odd):,} names are"
        note(f"Sent under another name, as {names} not UTF-8: {_some(odd)}")
    return found


def readable(path: Path | str) -> str:
    """With U+FFFD for bytes that are not UTF-8, which neither forms nor JSON can carry."""
    return str(path).encode(errors="surrogateescape").decode(errors="replace")


def noting(*, json: bool) -> Note:
    """What is noted goes to standard error, a line each; programs see from the answer what was taken."""

    def note(said: str) -> None:
        if not json:
            err.print(Text(said), soft_wrap=not err.is_terminal)

    return note


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files to take, and links to files that lie elsewhere: who names a folder does not mean what is outside."""
    home, found, leading_out = folder.resolve(), list[Path](), list[Path]()
    for path in _visible(folder):
        is_inside = not path.is_symlink() or path.resolve().is_relative_to(home)
        (found if is_inside else leading_out).append(path)
    return found, leading_out


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = (Path(place, name) for name in sorted(files) if not name.startswith("."))
        yield from filter(Path.is_file, shown)  # a pipe or a socket has no end to upload


def _some(paths: Sequence[Path]) -> str:
    more = ", …" if len(paths) > NAMED else ""
    return ", ".join(readable(path) for path in paths[:NAMED]) + more
