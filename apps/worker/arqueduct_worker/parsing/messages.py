"""What the pool and a parser process say to each other: msgpack behind a length of four bytes, big end first."""

from typing import BinaryIO, Final, Literal

import msgspec

from arqueduct.formats import Format

__all__ = [
    "LENGTH_BYTES",
    "ChunkText",
    "Done",
    "Extract",
    "Failed",
    "Message",
    "Progress",
    "Request",
    "decode_message",
    "decode_request",
    "frame",
    "receive",
]

LENGTH_BYTES: Final = 4


class Extract(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the document `source` and write its pages to `target`."""

    source: str
    format: Format
    target: str
    max_pages: int
    max_text_chars: int
    navigation: bool = False
    """Whether the menus of a web page are a part of its text."""
    ocr: Literal["never", "missing", "always"] = "never"
    """Which pages of a PDF are recognised: none, those without text, all."""
    ocr_languages: tuple[str, ...] = ()


class ChunkText(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the pages in `source` and write their chunks to `target`."""

    source: str
    target: str
    chunk_chars: int
    overlap: int
    markdown: bool = True
    """Whether lines like `# Title` are headings; false for PDF and plain text, whose `#` may mean anything."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How far the work is; sent at most twenty times a second."""

    done: int
    total: int
    unit: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The target is written. `resident` is the memory of the process now, in bytes."""

    pages: int = 0
    chars: int = 0
    chunks: int = 0
    title: str | None = None
    metadata: dict[str, str] = {}
    unread: int = 0
    """Pages that could not be recognised this time."""
    resident: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """There is no target. `code` is that of a class in `arqueduct.errors`."""

    code: str
    message: str
    advice: str
    resident: int = 0


Request = Extract | ChunkText
Message = Progress | Done | Failed

_encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Extract | ChunkText).decode
decode_message = msgspec.msgpack.Decoder(Progress | Done | Failed).decode


def frame(body: Request | Message) -> bytes:
    data = _encode(body)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def receive(stream: BinaryIO) -> bytes | None:
    """The next body; `None` when the other side has closed. Blocks."""
    length = stream.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    return stream.read(int.from_bytes(length, "big"))
