"""Zstandard files, for what is kept beside a blob: JSON lines of text shrink to about a quarter.

Both functions block: call them in a thread.
"""

from pathlib import Path
from typing import BinaryIO

import zstandard

from arqueduct.errors import ContentMismatch, DocumentTooLong

__all__ = ["compress", "decompress"]

LEVEL = 3
"""The library's default: text at some 200 MB/s a CPU; higher levels save a tenth for several times the work."""
PIECE = 128 * 2**10
LONGEST_HEADER = 18
"""Bytes of the longest header of a frame (RFC 8878, 3.1.1.1)."""
LARGEST_WINDOW = 8 * 2**20
"""Memory that a compressed file may ask for; `LEVEL` needs 2 MB."""


def compress(source: Path, target: Path) -> None:
    """Writes `source` compressed to `target`, which appears whole or not at all; a few megabytes of memory."""
    # The checksum and the size (which copy_stream puts into the header) let decompress see damage and a missing end.
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    unfinished = _unfinished(target)
    try:
        with source.open("rb") as plain, unfinished.open("wb") as packed:
            compressor.copy_stream(plain, packed, size=source.stat().st_size)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def decompress(source: Path, target: Path, *, max_bytes: int) -> None:
    """Writes the content of `source` to `target`, which appears whole or not at all.

    Raises `DocumentTooLong` before more than `max_bytes` are written, and `ContentMismatch` for a damaged or
    shortened file.
    """
    unfinished = _unfinished(target)
    try:
        with source.open("rb") as packed, unfinished.open("wb") as plain:
            expected = _announced_size(packed)
            if expected > max_bytes:
                raise DocumentTooLong(f"The stored text has {expected:,} bytes, more than {max_bytes:,}.")
            if (found := _copy(packed, plain, expected)) != expected:
                raise ContentMismatch(f"The stored text has {found:,} bytes instead of {expected:,}.")
        unfinished.replace(target)
    except zstandard.ZstdError as error:
        raise ContentMismatch(f"The stored text is damaged: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _announced_size(packed: BinaryIO) -> int:
    size = zstandard.get_frame_parameters(packed.read(LONGEST_HEADER)).content_size
    packed.seek(0)
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        raise ContentMismatch("The stored text does not say its size, so Arqueduct has not written it.")
    return size


def _copy(packed: BinaryIO, plain: BinaryIO, expected: int) -> int:
    """Bytes that came out; stops with the first piece beyond `expected`, for a header may lie."""
    done = 0
    with zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).stream_reader(packed) as reader:
        while done <= expected and (piece := reader.read(PIECE)):
            done += plain.write(piece)
    return done


def _unfinished(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")
