"""Takes folders to a file set: some files in a request, each under its path below the folder that was named."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arqueduct.cli.client import Body, Client
from arqueduct.cli.found_files import Note, files_of, readable
from arqueduct.errors import SetupError

__all__ = ["Batch", "Named", "batches", "named_files", "send"]

FILES = 200
"""In one request, which then takes some seconds at most: a bar moves, and what breaks is soon sent again."""
BYTES = 64 * 2**20
"""In one request, unless one file alone has more."""
NO_NAME = frozenset({"", ".."})
"""Of a folder such as `.`: its files keep the paths below it."""

Named = tuple[str, Path]
"""A path in the set, and the file on disk."""


@dataclass(kw_only=True)
class Batch:
    """Files that go together."""

    files: list[Named] = field(default_factory=list)
    size: int = 0


def named_files(paths: Iterable[Path], note: Note) -> list[Named]:
    """Files under their names, and those of a folder under its name and their paths below it; hidden ones are left
    out of folders, and `note` hears what else is. Raises `SetupError` if there are none.
    """
    found: dict[Path, Named] = {}
    for given in paths:
        for file in files_of(given, note):
            found.setdefault(file.resolve(), (readable(_name(given, file)), file))
    if not found:
        raise SetupError(
            "There are no files in what was named.",
            advice="Name files, or folders with some; hidden ones are left out of folders.",
        )
    return list(found.values())


def batches(files: Sequence[Named]) -> Iterator[Batch]:
    """In order. Raises `OSError` for a file that is gone."""
    batch = Batch()
    for name, path in files:
        size = path.stat().st_size
        if batch.files and (len(batch.files) == FILES or batch.size + size > BYTES):
            yield batch
            batch = Batch()
        batch.files.append((name, path))
        batch.size += size
    if batch.files:
        yield batch


async def send(client: Client, file_set_id: str, files: Sequence[Named], sent: Callable[[Batch], None]) -> list[Body]:
    """What became of each; `sent` is called after every request."""
    told: list[Body] = []
    for batch in batches(files):
        answer = await client.upload_all(f"/file-sets/{file_set_id}/files", batch.files)
        told += answer["files"]
        sent(batch)
    return told


def _name(given: Path, file: Path) -> str:
    if not given.is_dir():
        return file.name
    below = file.relative_to(given)
    return str(below if given.name in NO_NAME else Path(given.name, below))
