"""Files on their way out: many in one request, few of them open at a time, and each sent anew if it has to be."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeAlias

from arqueduct.client.errors import ClientError

__all__ = ["Part", "Upload", "can_be_read_again", "parts"]

Upload: TypeAlias = str | os.PathLike[str] | tuple[str, bytes | IO[bytes] | os.PathLike[str]]
"""A file to send: its path, which goes by its last step; or a name, and its bytes or its path. In a file set the name
may be a path of its own, such as `march/lease.pdf`."""

Part: TypeAlias = tuple[str, tuple[str, "bytes | OnDisk | ReadOnce | IO[bytes]"]]
"""As httpx takes it: the field, and name and content of the file."""


class OnDisk:
    """A file that is open only while it is sent: a form may have more files than a process may open."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises `OSError` for one that cannot be read, before anything is sent."""
        self._path = Path(path)
        with self._path.open("rb") as opened:
            self._size = os.fstat(opened.fileno()).st_size
        self._opened: IO[bytes] | None = None

    def tell(self) -> int:
        return self._opened.tell() if self._opened else 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Only to the start, and to the end to ask for the size."""
        if whence == os.SEEK_END:
            return self._size + offset
        self.close()
        return 0

    def read(self, size: int = -1) -> bytes:
        if self._opened is None:
            self._opened = self._path.open("rb")
        found = self._opened.read(size)
        if not found:
            self.close()
        return found

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class ReadOnce:
    """A stream that cannot go back, such as a pipe: what was read of it is never sent as if it were all."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._is_begun = False

    def seek(self, _offset: int) -> int:
        """Raises `ClientError` once it was read."""
        if self._is_begun:
            raise ClientError("A stream that cannot go back was sent already: bring it as bytes, or as a file.")
        return 0

    def read(self, size: int = -1) -> bytes:
        self._is_begun = True
        return self._stream.read(size)


def parts(field: str, files: Sequence[Upload]) -> list[Part]:
    """Of a form. Raises `OSError`."""
    return [(field, _part(file)) for file in files]


def can_be_read_again(file: Upload) -> bool:
    """Whether another try sends the same bytes."""
    return not isinstance(file, tuple) or isinstance(file[1], bytes | os.PathLike) or _goes_back(file[1])


def _part(file: Upload) -> "tuple[str, bytes | OnDisk | ReadOnce | IO[bytes]]":
    if not isinstance(file, tuple):
        return Path(file).name, OnDisk(file)
    name, content = file
    if isinstance(content, bytes):
        return name, content
    if isinstance(content, os.PathLike):
        return name, OnDisk(content)
    return name, content if _goes_back(content) else ReadOnce(content)


def _goes_back(stream: IO[bytes]) -> bool:
    with suppress(AttributeError, ValueError):
        return stream.seekable()
    return False
