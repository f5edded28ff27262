"""A document's bytes and its text, on their way out: streamed, never whole in memory."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import cast

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from arqueduct import kept_text
from arqueduct.errors import DocumentNotReady, NotFound, RangeNotSatisfiable
from arqueduct.models import Document
from arqueduct.storage import Storage
from arqueduct.storage.layout import text_key
from arqueduct_backend.filenames import attachment

__all__ = ["original", "requested_range", "text"]

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def original(storage: Storage, document: Document, key: str, headers: Mapping[str, str]) -> Response:
    """The uploaded bytes, or the range of them that `headers` ask for. Raises `RangeNotSatisfiable`, `NotFound`."""
    tag = f'"{document.sha256}"'
    common = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if tag in headers.get("if-none-match", ""):
        return Response(status_code=304, headers=common)
    # A download that goes on after the file changed would be a mixture; the tag says that it did not.
    wanted = headers.get("range") if headers.get("if-range", tag) == tag else None
    part = requested_range(wanted, document.size)
    start, end = part or (0, document.size)
    pieces = await _begun(storage.stream(key, start=start, end=end))
    if part:
        common["Content-Range"] = f"bytes {start}-{end - 1}/{document.size}"
    return StreamingResponse(
        pieces,
        status_code=206 if part else 200,
        headers={
            **common,
            "Content-Type": document.content_type,  # as a header, so that no charset is added: it may have any
            "Content-Length": str(end - start),
            "Content-Disposition": attachment(document.name),
        },
    )


async def text(storage: Storage, document: Document, temporary: Path) -> Response:
    """Raises `DocumentNotReady` before there is a text, `NotFound` if the storage lost it."""
    if document.text_recipe is None:
        raise DocumentNotReady
    key = text_key(document.tenant_id, document.blob_id, document.text_recipe)
    pieces = await _begun(_text(storage, key, temporary))
    return StreamingResponse(pieces, media_type="text/plain; charset=utf-8")


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """`(start, end)`, the end not included; `None` for the whole file, also where the header is not understood.

    Several ranges at once are not served as such, which RFC 9110 allows. Raises `RangeNotSatisfiable`.
    """
    found = RANGE.fullmatch(header.strip()) if header else None
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"The file has {size:,} bytes.", size=size)
    return start, end


async def _text(storage: Storage, key: str, temporary: Path) -> AsyncGenerator[bytes]:
    folder = await asyncio.to_thread(_new_folder, temporary)
    try:
        packed = folder / "text.zst"
        await storage.get_file(key, packed)
        async for piece in iterate_in_threadpool(kept_text.text_pieces(packed)):
            yield piece
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder(temporary: Path) -> Path:
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="text-", dir=temporary.absolute()))


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, the first one fetched already: what fails at the start still becomes a problem."""
    try:
        first = await anext(pieces, b"")
    except NotFound as error:
        raise NotFound("The storage no longer has this; upload the document again.") from error

    async def all_of_them() -> AsyncIterator[bytes]:
        async with aclosing(cast("AsyncGenerator[bytes]", pieces)):  # so that a client that leaves frees it at once
            yield first
            async for piece in pieces:
                yield piece

    return all_of_them()
