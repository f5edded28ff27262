"""Plain text and Markdown: from bytes in any encoding to one clean page."""

import codecs
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

from arqueduct.artifacts import Page
from arqueduct.errors import DocumentHasNoText, DocumentTooLong
from arqueduct.formats import encoding_without_bom

__all__ = ["check_length", "clean", "decode", "detect_encoding", "extract", "reads_as"]

BLOCK_CHARS: Final = 1 << 20
HEAD_BYTES: Final = 64 * 1024
SAMPLE_BYTES: Final = 32 * 1024  # charset-normalizer tries some 90 encodings on it: about half a second
BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LEGACY_DEFAULT: Final = "cp1252"
COMMON: Final = ("cp1252", "cp1251", "cp932", "gb18030", "cp949", "big5", "cp1250", "cp1253", "cp1256")
CHAOS_NOISE: Final = 0.005  # charset-normalizer puts Spanish in cp1250 and cp1252 on a par, and names cp1250 first

CUT_LINE: Final = re.compile(rb".*[\x00-\x3f](?=[^\n]*[^\n]\Z)", re.DOTALL)  # bytes that end no character of two bytes

# What a reader never sees and Postgres or UTF-8 refuses: controls, non-characters, halves of surrogate pairs.
UNWANTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def extract(path: Path, most_chars: int, progress: Callable[[int, int, str], None]) -> Page:
    """The whole file as one page. Raises `DocumentTooLong`, `DocumentHasNoText`."""
    text = decode(path, most_chars, progress)
    if not text.strip():
        raise DocumentHasNoText("The file has no text: it is blank.")
    return Page(number=1, text=text)


def decode(
    path: Path, most_chars: int, progress: Callable[[int, int, str], None] | None = None, encoding: str | None = None
) -> str:
    """The file's text with `\\n` at line ends, without a byte order mark, controls and lone surrogates.

    `encoding` is what the file itself or its sender says; it is detected when unknown.
    """
    parts: list[str] = []
    chars, size = 0, path.stat().st_size
    encoding = encoding or detect_encoding(path)
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding=encoding, errors="replace") as file:
        while block := file.read(BLOCK_CHARS):
            parts.append(clean(block))
            chars += len(parts[-1])
            check_length(chars, most_chars)
            if progress:
                progress(min(size, raw.tell()), size, "bytes")
    return "".join(parts).removeprefix("\ufeff")


def check_length(chars: int, most: int) -> None:
    if chars > most:
        raise DocumentTooLong(f"The file has more than {most:,} characters of text.")


def clean(text: str) -> str:
    return UNWANTED.sub("", text)


def detect_encoding(path: Path) -> str:
    """A codec for the file: by its mark, by its NULs, UTF-8 where that is right, else by its letters' statistics."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    if name_without_mark := encoding_without_bom(head):
        return name_without_mark
    if b"\x1b$" in head and _decodes(head, "iso2022_jp_2"):
        return "iso2022_jp_2"
    if reads_as(path, "utf-8"):
        return "utf-8"
    sample = _telling_lines(path)
    return "utf-8" if _is_damaged_utf8(sample) else _legacy(sample)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def reads_as(path: Path, encoding: str) -> bool:
    """Whether every byte of the file is right in this encoding."""
    try:
        with path.open(encoding=encoding, errors="strict") as file:
            while file.read(BLOCK_CHARS):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _telling_lines(path: Path) -> bytes:
    """Lines with bytes above 127, from anywhere in the file: the rest says nothing about the encoding."""
    sample = bytearray()
    with path.open("rb") as file:
        while len(sample) < SAMPLE_BYTES and (line := file.readline(SAMPLE_BYTES)):
            if not line.isascii():
                sample += line
            if not line.endswith(b"\n"):
                break
    # A long line is cut, perhaps inside a character, which would rule its encoding out.
    return bytes(sample[: last_ascii.end()] if (last_ascii := CUT_LINE.match(sample)) else sample)


def _is_damaged_utf8(sample: bytes) -> bool:
    """A few broken bytes in what is otherwise UTF-8: legacy text hardly ever forms a valid sequence."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(char > "\x7f" for char in text) - broken > 8 * broken


def _legacy(sample: bytes) -> str:
    """The least chaotic reading, then the one most like a language, then the encoding that is met most."""
    matches = list(from_bytes(sample))
    if not matches:
        return LEGACY_DEFAULT
    least = min(match.chaos for match in matches) + CHAOS_NOISE
    likely = [match for match in matches if match.chaos <= least]
    return min(likely, key=lambda match: (-round(match.coherence, 2), _commonness(match.encoding))).encoding


def _commonness(encoding: str) -> int:
    return COMMON.index(encoding) if encoding in COMMON else len(COMMON)
