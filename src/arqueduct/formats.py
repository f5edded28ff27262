"""What a file is, told by its content: the type that clients send and the name are not believed.

Reads at most the first 64 KB, the end of the file, and – for an archive – its directory and its list of content
types, each after a check of its size. A name's extension decides only between Markdown and plain text. It blocks:
call it in a thread.
"""

import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Final

from arqueduct.errors import EmptyUpload, UnsupportedFormat
from arqueduct.mails import is_mail

__all__ = ["Format", "detect", "encoding_without_bom"]

HEAD_BYTES: Final = 64 * 1024
PDF_HEADER_WITHIN: Final = 4 * 1024  # 2.5 KB of junk before the header exists in the wild
TAIL_BYTES: Final = 2 * 1024  # where a PDF says %%EOF
DIRECTORY_END_WITHIN: Final = 65_535 + 22  # the longest comment of a ZIP file and its closing record
MAX_ARCHIVE_ENTRIES: Final = 20_000  # a DOCX with ten thousand pictures is rare; zipfile keeps an object an entry
MAX_DIRECTORY_BYTES: Final = 8 * 2**20
MAX_CONTENT_TYPES_BYTES: Final = 2**20


class Format(StrEnum):
    """The formats Arqueduct reads, by media type."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"


BINARY: Final = (
    (rb"\x89PNG\r\n", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"GIF8[79]a", "a GIF image"),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "a TIFF image"),
    (rb"BM.{4}\0\0", "a BMP image"),
    (rb"RIFF.{4}WEBP", "a WebP image"),
    (rb"RIFF.{4}|ID3[\x02-\x04]|OggS|fLaC", "a sound or video file"),
    (rb".{4}ftyp|\x1aE\xdf\xa3", "a video or HEIF file"),
    (rb"8BPS", "a Photoshop image"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "a bzip2 archive"),
    (rb"\xfd7zXZ\0", "an xz archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (rb"Rar!\x1a\x07", "a RAR archive"),
    (rb".{257}ustar", "a tar archive"),
    (rb"\x7fELF", "a Linux program"),
    (rb"MZ[^\n]{0,64}\0", "a Windows program"),
    (rb"\xca\xfe\xba\xbe|\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe", "a program"),
    (rb"\0asm", "a WebAssembly module"),
    (rb"SQLite format 3\0", "an SQLite database"),
    (rb"PAR1", "a Parquet file"),
    (rb"ITSF", "a CHM help file"),
    (rb"AT&TFORM", "a DjVu document"),
    (rb"\{\\rtf", "an RTF document"),
    (rb"%!PS|\x04%!PS|\xc5\xd0\xd3\xc6", "a PostScript file"),
)
"""Beginnings that no text has, and what has them; the first that matches counts."""

PACKAGES: Final = (
    ("wordprocessingml.document.main+xml", None),
    ("wordprocessingml.template.main+xml", None),
    ("ms-word.document.macroenabled.main+xml", None),
    ("ms-word.template.macroenabledtemplate.main+xml", None),
    ("presentationml.presentation.main+xml", "a PowerPoint presentation"),
    ("presentationml.slideshow.main+xml", "a PowerPoint presentation"),
    ("presentationml.template.main+xml", "a PowerPoint presentation"),
    ("ms-powerpoint", "a PowerPoint presentation"),
    ("spreadsheetml", "an Excel workbook"),
    ("ms-excel", "an Excel workbook"),
    ("ms-visio", "a Visio drawing"),
    ("ms-package.xps", "an XPS document"),
)
"""Main parts of Office packages, by a piece of `[Content_Types].xml` in lower case; `None` is what is read as DOCX."""

MARKDOWN_NAMES: Final = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".rmd", ".qmd"})
TEXT_NAMES: Final = MARKDOWN_NAMES | {".log", ".text", ".txt"}
"""Whoever calls it a text shall have it read as one, whatever it begins with."""
HTML_NAMES: Final = frozenset({".html", ".htm", ".xhtml", ".xht", ".shtml"})

HTML_START: Final = re.compile(
    r"(?:\s|(?><!--.*?(?:-->|\Z))|(?><\?xml.*?\?>))*+(?:<!doctype\s+html\b|<html\b|<head\b|<body\b|<(?P<other>!doctype|svg\b))",
    re.IGNORECASE | re.DOTALL,
)
HTML_FRAGMENT: Final = re.compile(
    r"\s*<(?:title|meta|link|script|style|div|p|table|h[1-6]|ul|ol|section|article|main|header|center|font|span)\b[^>]*>",
    re.IGNORECASE,
)
MARKDOWN_HEADING: Final = re.compile(r"^#{1,6} \S", re.MULTILINE)
MARKDOWN_SIGN: Final = re.compile(r"^```|\]\(\S+\)|^[-*+] \S|\*\*\S", re.MULTILINE)
CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x1a\b") | {127})
BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


def detect(path: Path, name: str) -> Format:
    """The format of the file at `path`, which its owner calls `name`.

    Raises `EmptyUpload` for a file of no bytes and `UnsupportedFormat` that says what the file looks like.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
    if not head:
        raise EmptyUpload
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _archive(path)
    _refuse_binary(head)
    text = _text(head)
    if _is_pdf(head, tail, is_text=text is not None):
        return Format.PDF
    if text is None:
        raise _unsupported("binary data")
    return _kind_of_text(text, Path(name).suffix.lower())


def encoding_without_bom(head: bytes) -> str | None:
    """UTF-16 or UTF-32 that does not say so: by its NULs, which no other text has; `None` for anything else."""
    nuls = Counter(index % 4 for index, byte in enumerate(head[:4096]) if byte == 0)
    if not nuls:
        return None
    whole = head[: len(head) // 4 * 4]
    for name in ("utf-32-le", "utf-32-be"):
        if whole and nuls.total() >= len(head[:4096]) // 2 and _reads_as_text(whole, name):
            return name
    even, odd = nuls[0] + nuls[2], nuls[1] + nuls[3]
    name = "utf-16-le" if odd > even else "utf-16-be"
    clear = min(even, odd) <= max(even, odd) // 20
    return name if clear and _reads_as_text(head[: len(head) // 2 * 2], name) else None


def _reads_as_text(data: bytes, encoding: str) -> bool:
    if data[-2:] and encoding.startswith("utf-16") and 0xD8 <= data[-1 if encoding.endswith("le") else -2] < 0xDC:
        data = data[:-2]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    odd = sum(unicodedata.category(char) in {"Cc", "Cn", "Co"} and char not in "\t\n\r\f\0" for char in text)
    return odd <= len(text) // 100 and text.count("\0") <= len(text) // 100


def _text(head: bytes) -> str | None:
    """The head as text, good enough to look for markup in; `None` when it is not text."""
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "ignore")
    if encoding_without := encoding_without_bom(head):
        return head.decode(encoding_without, "ignore")
    if b"\0" in head or len(head) - len(head.translate(None, CONTROLS)) > len(head) // 50:
        return None
    return head.decode("latin-1")


def _refuse_binary(head: bytes) -> None:
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        locked = "EncryptedPackage".encode("utf-16-le") in head
        raise _unsupported(
            "an Office file that is protected by a password" if locked else "an old Office file (doc, xls, ppt or msg)"
        )
    for pattern, what in BINARY:
        if re.match(pattern, head, re.DOTALL):
            raise _unsupported(what)


def _is_pdf(head: bytes, tail: bytes, *, is_text: bool) -> bool:
    """A header at the very beginning is enough; further in, a text may just be about PDF: then the end must tell."""
    found = re.search(rb"%PDF-", head[: PDF_HEADER_WITHIN + 5])
    if not found:
        return False
    if not head[: found.start()].strip(b"\xef\xbb\xbf\0\t\r\n\f "):
        return True
    at_line_start = head[found.start() - 1 : found.start()] in b"\r\n\0"
    has_objects = re.search(rb"\d+ \d+ obj\b", head) is not None
    return not is_text or (at_line_start and (has_objects and b"%%EOF" in tail))


def _kind_of_text(text: str, suffix: str) -> Format:
    if suffix not in TEXT_NAMES and is_mail(text):
        raise _unsupported("a mail or a mailbox")
    start = HTML_START.match(text)
    if start and start["other"]:
        kind = "an SVG image" if "<svg" in text.lower() else "an XML file with a document type"
        raise _unsupported(kind)
    if start or (suffix in HTML_NAMES and re.search(r"</?[a-zA-Z][^<>]*>", text)):
        return Format.HTML
    if suffix in MARKDOWN_NAMES:
        return Format.MARKDOWN
    if not suffix and HTML_FRAGMENT.match(text):
        return Format.HTML
    if not suffix and MARKDOWN_HEADING.search(text) and MARKDOWN_SIGN.search(text):
        return Format.MARKDOWN
    return Format.TEXT


def _archive(path: Path) -> Format:
    """DOCX, or a refusal that names the archive. Nothing is unpacked but a bounded list of content types."""
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "[Content_Types].xml" in names:
                return _package(_read(archive, "[Content_Types].xml", MAX_CONTENT_TYPES_BYTES))
            if "mimetype" in names:
                raise _unsupported(_open_document(_read(archive, "mimetype", 200)))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        raise _unsupported("a damaged ZIP archive") from None
    if "META-INF/MANIFEST.MF" in names:
        raise _unsupported("a Java archive")
    raise _unsupported("a ZIP archive")


def _check_directory(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - DIRECTORY_END_WITHIN))
        end = file.read(DIRECTORY_END_WITHIN)
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < 22:
        raise _unsupported("a damaged ZIP archive, perhaps cut short")
    entries = int.from_bytes(end[at + 10 : at + 12], "little")
    directory = int.from_bytes(end[at + 12 : at + 16], "little")
    if b"PK\x06\x07" in end[max(0, at - 20) : at] or entries > MAX_ARCHIVE_ENTRIES or directory > MAX_DIRECTORY_BYTES:
        raise _unsupported(f"a ZIP archive with too many entries ({entries:,} or more)")


def _read(archive: zipfile.ZipFile, name: str, most: int) -> str:
    with archive.open(name) as member:
        return member.read(most).decode("utf-8", "replace").lower()


def _package(content_types: str) -> Format:
    for piece, what in PACKAGES:
        if piece in content_types:
            if what is None:
                return Format.DOCX
            raise _unsupported(what)
    raise _unsupported("an Office package of an unknown kind")


def _open_document(media_type: str) -> str:
    if "epub" in media_type:
        return "an EPUB book"
    known = {"text": "an OpenDocument text", "spreadsheet": "an OpenDocument spreadsheet"}
    found = re.search(r"opendocument\.([a-z]+)", media_type)
    return known.get(found[1], "an OpenDocument file") if found else "a ZIP archive"


def _unsupported(what: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"This kind of file cannot be read: it looks like {what}.")
