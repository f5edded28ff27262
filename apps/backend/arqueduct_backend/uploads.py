"""Files on their way in: streamed to the disk and hashed, never whole in memory."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from arqueduct.errors import DependencyUnavailable, EmptyUpload, UploadTooLarge
from arqueduct.settings import Settings
from arqueduct_backend.multipart import OVERHEAD, FileField

__all__ = ["Upload", "received"]

SLICE = 512 * 1024
"""Bytes written at a time: a thread costs some 50 µs, writing this about 200 µs."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that came whole."""

    path: Path
    """Exists as long as the `with` that made it."""
    name: str
    size: int
    """Bytes."""
    sha256: str


@asynccontextmanager
async def received(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The part `file` of a multipart body, in a temporary file that is gone afterwards, whatever happens.

    Raises `MissingFile`, `EmptyUpload`, `UploadTooLarge`, `InvalidRequest`; `DependencyUnavailable` when the disk
    is full.
    """
    most = settings.max_upload_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most + OVERHEAD:
        raise UploadTooLarge(f"The file is larger than {most:,} bytes.", limit=most)
    field = FileField(request.headers.get("content-type", ""), most=most)
    with _disk():
        file = await asyncio.to_thread(_File, settings.temporary_dir)
    try:
        await _receive(request, field, file)
        name = field.finish()
        if not file.size:
            raise EmptyUpload
        yield Upload(path=file.path, name=name, size=file.size, sha256=file.sha256)
    finally:
        file.remove()


async def _receive(request: Request, field: FileField, file: "_File") -> None:
    with _disk():
        async for body in request.stream():
            if field.feed(body) >= SLICE:
                await asyncio.to_thread(file.append, field.take())
        await asyncio.to_thread(file.append, field.take())
        await asyncio.to_thread(file.close)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DependencyUnavailable(f"The upload cannot be written to the disk: {error.strerror}.") from error


class _File:
    """A temporary file that knows its hash; every method but `remove` blocks."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix="upload-", dir=folder.absolute())
        self.path = Path(path)
        self.size = 0
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._digest = hashlib.sha256()

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """Quick enough for the event loop, and safe while a cancelled `append` still runs."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
