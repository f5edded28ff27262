"""`Storage`: files in, files out, by key."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from arqueduct.errors import DependencyUnavailable, SetupError
from arqueduct.settings import redact_url
from arqueduct.storage import failures, local

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["Storage", "StoredFile"]

CLOUDS = frozenset({"abfs", "abfss", "adl", "az", "azure", "gs", "s3", "s3a"})
KEY = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*(/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*")
"""No empty part, none that begins with a dot: nothing in a key can climb out of the storage or hide in it."""

PART = 8 * 2**20
"""Bytes of one part of an upload; S3 takes 10,000 parts, so a file may have 80 GB."""
PARTS_AT_ONCE = 4
"""With `PART`: an upload holds at most 32 MB, whatever the size of the file."""
CHUNK = 2**20
"""Bytes of one piece on the way down: few enough for thousands of downloads, enough for full speed."""
SMALL = 2**20
"""Bytes of a local file that is read or written in one go."""
PAGE = 1000
"""Keys per request of a deletion: the most that S3 lists and deletes at a time."""
DELETION_ROUNDS = 5
"""Deletions under one prefix that may collide with others before this one gives up."""
FOLDERS = 500
"""Folders looked into in one go of a thread: some milliseconds, so that a stopping process need not wait for it."""

CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=6),  # for a whole transfer; a stalled one is caught by read_timeout
}
RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}  # beyond that the job tries again


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One line of a listing."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """By the clock of the storage."""


class Storage:
    """Blobs by key, such as `tenants/…/original`; see `arqueduct.storage.layout`.

    Every method raises `NotFound` for a key that is not there, `DependencyUnavailable` when the storage does not
    answer or refuses, and `ValueError` for a key that no storage may see (`..`, a leading slash).
    """

    def __init__(self, store: "ObjectStore", place: str) -> None:
        self._store = store
        self._place = place
        self._root = store.prefix if isinstance(store, LocalStore) else None

    def __repr__(self) -> str:
        return f"Storage({self._place!r})"

    @classmethod
    def open(cls, url: str) -> "Storage":
        """`file:///path`, `s3://bucket/prefix`, `gs://…`, `az://…` or `memory:///`.

        Credentials of a cloud come from its usual environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`). A local
        folder is created for this account only. Nothing is asked over the network yet: see `check`.
        Raises `SetupError`.
        """
        place = redact_url(url)
        try:
            return cls(_open(url), place)
        except (BaseError, OSError, ValueError) as error:
            raise SetupError(f"ARQUEDUCT_STORAGE_URL={place} cannot be used: {failures.reason(error)}") from error

    async def put_file(self, key: str, path: Path) -> None:
        """Stores a file, replacing what is there; others see the old bytes or the new ones, never a part."""
        _valid(key)
        if self._root is not None:
            is_done: bool = await asyncio.to_thread(_put_small, path, self._root / key, key)
            if is_done:
                return
        with failures.translated(key):
            if self._root:
                await asyncio.to_thread(local.make_private, (self._root / key).parent)
            await obstore.put_async(self._store, key, path, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
            if self._root:
                await asyncio.to_thread(local.settle, self._root / key)

    async def get_file(self, key: str, path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
        """Fetches into `path`, which appears whole or not at all; returns the hex SHA-256 of the bytes.

        `on_bytes` hears the number of bytes so far, about once a megabyte, on the event loop.
        """
        _valid(key)
        if self._root:
            small = await asyncio.to_thread(_get_small, self._root / key, path, key)
            if small:
                checksum, size = small
                if on_bytes:
                    on_bytes(size)
                return checksum
        digest, done = hashlib.sha256(), 0
        unfinished = path.with_name(f"{path.name}.part")
        file = await asyncio.to_thread(unfinished.open, "wb")
        try:
            async for piece in self.stream(key):
                done += await asyncio.to_thread(_append, file, digest.update, piece)
                if on_bytes:
                    on_bytes(done)
            await asyncio.to_thread(file.close)
            await asyncio.to_thread(unfinished.replace, path)
        except BaseException:
            file.close()
            unfinished.unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces of about a megabyte.

        `start` must lie within the file: ask `size` first. An `end` beyond the file is the end of the file.
        """
        _valid(key)
        if end is not None and end <= start:
            return
        with failures.translated(key):
            if end is not None:
                found = await obstore.get_async(self._store, key, options={"range": (start, end)})
            elif start:
                found = await obstore.get_async(self._store, key, options={"range": {"offset": start}})
            else:
                found = await obstore.get_async(self._store, key)
            pieces = found.stream(min_chunk_size=CHUNK)
        while True:
            with failures.translated(key):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    async def size(self, key: str) -> int | None:
        """Bytes of the file, or `None` when there is none."""
        _valid(key)
        with failures.translated(key):
            try:
                return (await obstore.head_async(self._store, key))["size"]
            except FileNotFoundError:
                return None

    async def delete_prefix(self, prefix: str) -> int:
        """Deletes the file of this key and everything below it; returns how many files this call deleted.

        Whole names only: `a/b` deletes `a/b/c` and not `a/bc`. Doing it again deletes nothing and is no error.
        """
        _valid(prefix)
        with failures.translated(prefix):
            deleted = await self._delete_below(prefix) + await self._delete([prefix])
            if self._root:
                await asyncio.to_thread(local.remove_leftovers, self._root / prefix)
        return deleted

    @property
    def is_in_order(self) -> bool:
        """Whether `pages` come by key. A local disk lists in an order of its own, which may be another each time."""
        return self._root is None

    async def pages(self, prefix: str, *, after: str | None = None) -> AsyncIterator[list[StoredFile]]:
        """The files below `prefix`, a thousand at a time; with `after`, where they are in order, those behind that key.

        What comes or goes meanwhile may be in it or not.
        """
        _valid(prefix)
        found = obstore.list(self._store, prefix, offset=after if self.is_in_order else None, chunk_size=PAGE)
        while True:
            with failures.translated(prefix):
                page = await anext(found, None)
            if page is None:
                return
            yield [StoredFile(key=entry["path"], size=entry["size"], modified=entry["last_modified"]) for entry in page]

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes these files, at most a thousand; one that is gone already is no error."""
        for key in keys:
            _valid(key)
        with failures.translated(keys[0] if keys else ""):
            if not await self._delete(list(keys)):
                for key in keys:
                    await self._delete([key])

    async def delete_halves(self, before: datetime) -> list[int]:
        """Deletes what writers that were killed left on a local disk, last written before then; returns the sizes.

        Clouds have no such files: what a broken upload leaves there is a matter for the bucket's lifecycle rules.
        """
        if not self._root:
            return []
        sizes: list[int] = []
        folders = local.remove_halves(self._root, before.timestamp())
        with failures.translated(self._place):
            while some := await asyncio.to_thread(lambda: list(islice(folders, FOLDERS))):
                sizes.extend(size for folder in some for size in folder)
        return sizes

    async def check(self) -> None:
        """Proves that the storage is there and lets this account in, with one small request.

        Raises `SetupError` for what an administrator has to mend, `DependencyUnavailable` for the rest. It writes
        nothing, as probes call it every few seconds: a cloud's missing right to write shows with the first upload.
        """
        with failures.checking(self._place):
            if self._root:
                await asyncio.to_thread(local.prove_writable, self._root)
            else:
                await obstore.list_with_delimiter_async(self._store, "tenants/none")

    async def _delete_below(self, prefix: str) -> int:
        deleted = collisions = 0
        while keys := await self._some_below(prefix):
            count = await self._delete(keys)
            deleted += count
            collisions += count == 0
            if collisions == DELETION_ROUNDS:
                raise DependencyUnavailable(f"The storage still lists what is deleted under {prefix}.")
        return deleted

    async def _some_below(self, prefix: str) -> list[str]:
        async for page in obstore.list(self._store, prefix, chunk_size=PAGE):
            return [entry["path"] for entry in page]
        return []

    async def _delete(self, keys: list[str]) -> int:
        """Zero when one of them was already gone: the others may be or not, so the caller looks again."""
        if len(keys) == 1 and await self.size(keys[0]) is None:  # S3 and memory call it a success
            return 0
        try:
            await obstore.delete_async(self._store, keys)
        except FileNotFoundError:
            return 0
        return len(keys)


def _open(url: str) -> "ObjectStore":
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    if parts.scheme == "file":
        if parts.netloc or parts.path in ("", "/"):
            raise ValueError("a folder on this machine is written file:///path/to/folder")
        root = Path(url2pathname(parts.path))
        local.make_private(root)
        return LocalStore(root, automatic_cleanup=True)
    if parts.scheme in CLOUDS and parts.netloc:
        options: ClientConfig = {**CLIENT, "allow_http": _may_be_plain(os.environ)}
        return from_url(url, client_options=options, retry_config=RETRY)
    raise ValueError("it must begin with file:///, s3://bucket, gs://bucket, az://container or memory:///")


def _may_be_plain(environment: Mapping[str, str]) -> bool:
    """Whether the administrator asks for HTTP without TLS, as a MinIO beside the workers has it.

    Said here again because client options of ours replace those that obstore reads from `AWS_ALLOW_HTTP`.
    """
    switches = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")
    endpoints = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    return any(environment.get(name, "").lower() in ("1", "true") for name in switches) or any(
        environment.get(name, "").startswith("http://") for name in endpoints
    )


def _valid(key: str) -> None:
    if not KEY.fullmatch(key):
        raise ValueError(f"not a key of a storage: {key!r}")


def _put_small(source: Path, target: Path, key: str) -> bool:
    """In one go of a thread, which ends soon. False: it is not small."""
    content = local.read(source, SMALL)
    if content is not None:
        with failures.translated(key):
            local.put(content, target)
    return content is not None


def _get_small(source: Path, target: Path, key: str) -> tuple[str, int] | None:
    """As `_put_small`; returns the hex SHA-256 and the number of the bytes."""
    with failures.translated(key):
        content = local.read(source, SMALL)
    if content is None:
        return None
    unfinished = target.with_name(f"{target.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(target)
    return hashlib.sha256(content).hexdigest(), len(content)


def _append(file: IO[bytes], hash_too: Callable[[bytes], None], piece: bytes) -> int:
    hash_too(piece)
    return file.write(piece)
