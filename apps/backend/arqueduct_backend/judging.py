"""Which files of a request a set takes, and why not the others. Decided before anything is kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from arqueduct import formats
from arqueduct.errors import ArqueductError, DuplicateFile, EmptyUpload, PathTaken, TooManyFiles, UploadTooLarge
from arqueduct.formats import Format
from arqueduct.repositories.file_sets import Taken
from arqueduct_backend.filenames import relative, shown
from arqueduct_backend.uploads import Upload

__all__ = ["Candidate", "check_room", "judged", "looked_at"]

AT_ONCE = 50
"""Files in one thread: each takes some 100 µs."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that wants to be in a set."""

    name: str
    """The last step of its path."""
    path: str | None
    """None: what was sent cannot be one, and `error` says why."""
    sha256: str
    upload: Upload | None = None
    """None for a document that is there already."""
    kind: Format | None = None
    error: ArqueductError | None = None


async def looked_at(uploads: Sequence[Upload], *, most: int) -> list[Candidate]:
    """Each by itself: path, size and content. `most`: bytes of one file."""
    found: list[Candidate] = []
    for start in range(0, len(uploads), AT_ONCE):
        some = uploads[start : start + AT_ONCE]
        found += await asyncio.to_thread(lambda batch: [_look(upload, most) for upload in batch], some)
    return found


def judged(candidates: Sequence[Candidate], taken: Taken) -> list[Candidate]:
    """The same, those refused that have the path or the bytes of what is in the set, or of an earlier one."""
    paths, hashes = set(taken.paths), set(taken.hashes)
    found = []
    for candidate in candidates:
        error = candidate.error or _clash(candidate, paths, hashes)
        if error is None and candidate.path is not None:
            paths.add(candidate.path)
            hashes.add(candidate.sha256)
        found.append(replace(candidate, error=error))
    return found


def check_room(candidates: Sequence[Candidate], taken: Taken, *, most: int) -> None:
    """Raises `TooManyFiles`."""
    more = sum(candidate.error is None for candidate in candidates)
    if taken.files + more > most:
        raise TooManyFiles(f"A set may have {most:,} files; this one has {taken.files:,}, and {more:,} more came.")


def _look(upload: Upload, most: int) -> Candidate:
    """Blocks."""
    path: str | None = None
    kind: Format | None = None
    error: ArqueductError | None = None
    try:
        path = relative(upload.name)
        if upload.is_overlong:
            raise UploadTooLarge(f"The file is larger than {most:,} bytes.")
        if not upload.size:
            raise EmptyUpload
        kind = formats.detect(upload.path, path)
    except ArqueductError as refused:
        error = refused
    name = shown(upload.name) if path is None else path.rpartition("/")[2]
    return Candidate(
        name=name, path=path, sha256=upload.sha256, upload=replace(upload, name=name), kind=kind, error=error
    )


def _clash(candidate: Candidate, paths: set[str], hashes: set[str]) -> ArqueductError | None:
    if candidate.sha256 in hashes:
        return DuplicateFile()
    return PathTaken() if candidate.path in paths else None
