"""The files that stages hand to each other inside a job's work folder: pages and chunks, a JSON line each.

A file instead of a list keeps memory bounded by the settings and not by the document, and lets a parser process
and the event loop share work without copying it through a pipe.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

__all__ = ["SEPARATOR", "Chunk", "Page", "read_lines", "writing"]

Record = TypeVar("Record", bound=msgspec.Struct)

SEPARATOR = "\n\n"
"""What stands between two pages in the text of a document; offsets of chunks count it."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The text of one page, or of a whole document that has no pages.

    The text of a document is its pages' texts joined by `SEPARATOR`: what `GET /documents/{id}/text` returns.
    """

    number: int
    """1 …, as a reader counts; 1 for the only page of a format without pages."""
    text: str
    heading: str | None = None
    """Where the outline says so: the heading under which the page begins."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A passage: `text == document_text[start:end]`, in characters (Python code points)."""

    ordinal: int
    """0 …, gapless."""
    text: str
    first_page: int
    last_page: int
    start: int
    end: int
    tokens: int
    """Estimated length for a language model, four characters a token."""
    heading: str | None = None
    """The nearest heading above the passage (Markdown, HTML and DOCX; the outline of a PDF)."""


def read_lines(path: Path, kind: type[Record]) -> Iterator[Record]:
    """One record after the other; blocks, so call it in a thread or a parser process."""
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as lines:
        yield from map(decode, lines)


@contextmanager
def writing(path: Path) -> Iterator[Callable[[Page | Chunk], None]]:
    """Yields a function that appends a record; `path` appears whole at the end, or not at all."""
    encode = msgspec.json.Encoder().encode
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("wb") as file:
        yield lambda record: file.writelines((encode(record), b"\n"))
    unfinished.replace(path)
