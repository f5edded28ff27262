"""Files on their way in: streamed to the disk and hashed, never whole in memory."""

import asyncio
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from arqueduct.errors import DependencyUnavailable, EmptyUpload
from arqueduct.settings import Settings
from arqueduct_backend.filenames import shown
from arqueduct_backend.multipart import Begun, Form, Overlong, Piece, Shape

__all__ = ["Received", "Upload", "received", "received_all"]

SLICE = 512 * 1024
"""Bytes written at a time: a thread costs some 50 µs, writing this about 200 µs."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that came whole, or was too large to."""

    path: Path
    """Exists as long as the `with` that made it."""
    name: str
    """As it was sent."""
    size: int
    """Bytes."""
    sha256: str
    is_overlong: bool = False
    """Its size and hash are of what was taken before that showed."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """What a multipart body had."""

    files: Sequence[Upload]
    fields: Mapping[str, str]


@asynccontextmanager
async def received(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The part `file` of a multipart body, in a temporary file that is gone afterwards, whatever happens.

    Raises `MissingFile`, `EmptyUpload` and what `received_all` raises.
    """
    most = settings.max_upload_bytes
    shape = Shape(field="file", file_bytes=most, total_bytes=most)
    async with received_all(request, settings, shape) as body:
        if not body.files:
            raise shape.missing()
        (file,) = body.files
        if not file.size:
            raise EmptyUpload
        yield Upload(path=file.path, name=shown(file.name), size=file.size, sha256=file.sha256)


@asynccontextmanager
async def received_all(request: Request, settings: Settings, shape: Shape) -> AsyncIterator[Received]:
    """All files of a multipart body, each in a temporary file that is gone afterwards, whatever happens.

    Raises `MissingFile` for another kind of body, `UploadTooLarge`, `TooManyFiles`, `InvalidRequest`;
    `DependencyUnavailable` when the disk is full.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > shape.body_bytes:
        raise shape.too_large()
    form = Form(request.headers.get("content-type", ""), shape)
    folder = _Folder(settings.temporary_dir)
    try:
        with _disk():
            async for body in request.stream():
                if form.feed(body) >= SLICE:
                    await asyncio.to_thread(folder.write, form.take())
            await asyncio.to_thread(folder.write, form.take(), is_last=True)
        fields = form.finish()
        yield Received(files=[file.upload for file in folder.files], fields=fields)
    finally:
        await asyncio.shield(asyncio.to_thread(folder.remove))


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DependencyUnavailable(f"The upload cannot be written to the disk: {error.strerror}.") from error


class _Folder:
    """The files of one request; one of them is open at a time. Every method blocks."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._path: Path | None = None
        self._is_gone = False
        self._lock = threading.Lock()
        """A cancelled request leaves its `write` running."""
        self.files: list[_File] = []

    def write(self, pieces: Sequence[Piece], *, is_last: bool = False) -> None:
        for piece in pieces:
            with self._lock:
                if self._is_gone:
                    return
                self._take(piece)
        if is_last and self.files:
            self.files[-1].close()

    def _take(self, piece: Piece) -> None:
        if isinstance(piece, Begun):
            if self.files:
                self.files[-1].close()
            self.files.append(_File(self._made() / str(len(self.files)), piece.name))
        elif isinstance(piece, Overlong):
            self.files[-1].is_overlong = True
        else:
            self.files[-1].append(piece)

    def _made(self) -> Path:
        if self._path is None:
            self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = Path(tempfile.mkdtemp(prefix="upload-", dir=self._parent.absolute()))
        return self._path

    def remove(self) -> None:
        with self._lock:
            self._is_gone = True
            for file in self.files[-1:]:
                file.close()
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)


class _File:
    """A temporary file that knows its hash."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.size = 0
        self.is_overlong = False
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
        self._digest = hashlib.sha256()

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        self._file.close()

    @property
    def upload(self) -> Upload:
        return Upload(
            path=self.path,
            name=self.name,
            size=self.size,
            sha256=self._digest.hexdigest(),
            is_overlong=self.is_overlong,
        )
