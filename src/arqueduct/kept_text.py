"""The format of the text kept beside a blob: one JSON line of facts, then a line a page, Zstandard on top.

Workers write and read it as files; the API sends a document's text straight out of it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard

from arqueduct.artifacts import SEPARATOR
from arqueduct.errors import ContentMismatch

__all__ = ["join", "split", "text_pieces"]

PIECE = 256 * 2**10
"""Bytes of JSON looked at together: a page may be the whole document, and memory must not depend on it."""
LARGEST_WINDOW = 8 * 2**20
"""Memory that a compressed file may ask for."""
LONGEST_HEADER = 18
"""Bytes of the longest header of a frame (RFC 8878, 3.1.1.1)."""

TEXT = b'"text":"'
"""Where the text of a page begins. Inside a JSON string each quote has a backslash before it, so this is no string."""
CONTENT = re.compile(rb'[^"\\]*+(?:\\(?:[^u]|u[0-9A-Fa-f]{4})[^"\\]*+)*+')
"""As much of a JSON string as is whole: it stops at the closing quote, or before half of an escape."""


def join(facts: dict[str, Any], pages: Path, whole: Path) -> None:
    """Writes facts and `Page` records as one file; blocks."""
    with whole.open("wb") as out, pages.open("rb") as lines:
        out.write(msgspec.json.encode(facts) + b"\n")
        out.writelines(lines)


def split(whole: Path, pages: Path) -> dict[str, Any]:
    """The reverse of `join`: writes the pages and returns the facts; blocks."""
    with whole.open("rb") as lines, pages.open("wb") as out:
        facts = msgspec.json.decode(next(lines), type=dict[str, Any])
        out.writelines(lines)
    return facts


def text_pieces(packed: Path) -> Iterator[bytes]:
    """The document's text in UTF-8, pages joined by `SEPARATOR`, in pieces of at most `PIECE` bytes; blocks.

    Raises `ContentMismatch` for a damaged file, perhaps after the first pieces.
    """
    try:
        with packed.open("rb") as file:
            announced = zstandard.get_frame_parameters(file.read(LONGEST_HEADER)).content_size
            file.seek(0)
            source = _Source(zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).stream_reader(file))
            yield from _texts(source)
            if source.received != announced:
                raise ContentMismatch("The stored text was cut off.")
    except zstandard.ZstdError as error:
        raise ContentMismatch(f"The stored text is damaged: {error}.") from error


def _texts(source: "_Source") -> Iterator[bytes]:
    source.skip(b"\n")
    is_first = True
    while source.skip(TEXT):
        if not is_first:
            yield SEPARATOR.encode()
        is_first = False
        yield from source.string()
        source.skip(b"\n")


class _Source:
    """Looks at a stream of JSON through a window of about `PIECE` bytes."""

    def __init__(self, plain: BinaryIO) -> None:
        self.received = 0
        self._plain = plain
        self._window = b""

    def skip(self, mark: bytes) -> bool:
        """Goes behind the next `mark`. False: there is none."""
        while (found := self._window.find(mark)) < 0:
            self._window = self._window[1 - len(mark) :] if len(mark) > 1 else b""
            if not self._read():
                return False
        self._window = self._window[found + len(mark) :]
        return True

    def string(self) -> Iterator[bytes]:
        """The rest of the JSON string inside of which this stands, decoded."""
        while True:
            end = _whole_characters(self._window, CONTENT.match(self._window).end())  # type: ignore[union-attr]  # it matches nothing at least
            if end:
                yield msgspec.json.decode(b'"' + self._window[:end] + b'"', type=str).encode()
                self._window = self._window[end:]
            if self._window.startswith(b'"'):
                return
            if not self._read():
                raise ContentMismatch("The stored text ends in the middle of a page.")

    def _read(self) -> bool:
        piece = self._plain.read(PIECE)
        self._window += piece
        self.received += len(piece)
        return bool(piece)


def _whole_characters(data: bytes, end: int) -> int:
    """`end`, or a little before it where it would cut a character of several bytes in two."""
    if end < len(data):  # a quote or a backslash follows
        return end
    for back in range(1, min(4, end) + 1):
        byte = data[end - back]
        if byte & 0xC0 != 0x80:  # the first byte of a character says how many bytes it has
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return end if length <= back else end - back
    return end
