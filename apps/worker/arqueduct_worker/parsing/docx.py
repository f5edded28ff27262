"""DOCX: paragraphs, tables and headings in order, streamed out of the archive: no tree is built.

The main part goes through expat as events, so memory does not grow with the document and nesting is not recursion.
Elements are told by their local names, which transitional and Strict OOXML share. A document type, which OOXML
forbids, is refused before it can define or fetch an entity.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from xml.parsers import expat

from arqueduct.artifacts import Page
from arqueduct.errors import DocumentCorrupt, DocumentTooComplex
from arqueduct_worker.parsing import text
from arqueduct_worker.parsing.docx_body import Body
from arqueduct_worker.parsing.docx_styles import heading_levels

__all__ = ["extract"]

MAX_ENTRIES: Final = 20_000
MAX_DIRECTORY_BYTES: Final = 8 * 2**20
MAX_PART_BYTES: Final = 1 * 2**30
SUSPICIOUS_PART_BYTES: Final = 64 * 2**20
MAX_RATIO: Final = 100  # Word's own XML packs 10 to 30 times; a gigabyte of one letter packs a thousand times
MAX_SMALL_PART_BYTES: Final = 16 * 2**20
BLOCK_BYTES: Final = 256 * 1024

MAIN_TYPES: Final = (
    "wordprocessingml.document.main+xml",
    "wordprocessingml.template.main+xml",
    "ms-word.document.macroenabled.main+xml",
    "ms-word.template.macroenabledtemplate.main+xml",
)


def extract(
    path: Path, max_pages: int, most_chars: int, metadata: dict[str, str], progress: Callable[[int, int, str], None]
) -> Iterator[Page]:
    """Pages where the file marks breaks, else one; footnotes and endnotes come last.

    Raises `DocumentCorrupt`, `DocumentTooComplex` (bombs), `DocumentTooLong`.
    """
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            main = _main_part(archive)
            metadata |= _properties(archive)
            body = Body(heading_levels(_small_part(archive, _sibling(main, "styles.xml"))), max_pages, most_chars)
            for part in (main, _sibling(main, "footnotes.xml"), _sibling(main, "endnotes.xml")):
                if part == main or part in archive.NameToInfo:
                    yield from _stream(archive, part, body, progress if part == main else _silent)
            yield from body.finish()
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, OSError) as error:
        raise DocumentCorrupt(f"The archive inside the DOCX file is damaged: {error}") from error
    except expat.ExpatError as error:
        raise DocumentCorrupt(f"The DOCX file has broken XML: {error}.") from error


def _check_directory(path: Path) -> None:
    """Before `zipfile` reads it: a directory of millions of entries is memory by itself."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001  # the only door before the list
    if end is None:
        raise DocumentCorrupt("The DOCX file is cut short: its archive has no end.")
    if end[3] > MAX_ENTRIES or end[5] > MAX_DIRECTORY_BYTES:
        raise DocumentTooComplex(f"The DOCX file holds {end[3]:,} parts; {MAX_ENTRIES:,} are accepted.")


def _check_part(info: zipfile.ZipInfo) -> None:
    if info.file_size > MAX_PART_BYTES:
        raise DocumentTooComplex(f"{info.filename} inside the DOCX file unpacks to {info.file_size:,} bytes.")
    if info.file_size > SUSPICIOUS_PART_BYTES and info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise DocumentTooComplex(
            f"{info.filename} inside the DOCX file unpacks from {info.compress_size:,} to {info.file_size:,} bytes."
        )


def _main_part(archive: zipfile.ZipFile) -> str:
    """Usually `word/document.xml`; the list of content types has the last word."""
    found: list[str] = []

    def start(_: str, attributes: dict[str, str]) -> None:
        if any(piece in attributes.get("ContentType", "").lower() for piece in MAIN_TYPES):
            found.append(attributes.get("PartName", "").lstrip("/"))

    parser = new_parser()
    parser.StartElementHandler = start
    parser.Parse(_small_part(archive, "[Content_Types].xml"), True)
    name = next((part for part in found if part in archive.NameToInfo), "word/document.xml")
    if name not in archive.NameToInfo:
        raise DocumentCorrupt("The DOCX file has no main part.")
    return name


def _properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, creator and so on from `docProps/core.xml`, each cut at 500 characters."""
    found: dict[str, str] = {}
    open_tags: list[str] = []

    def start(tag: str, _: dict[str, str]) -> None:
        open_tags.append(tag.rpartition(" ")[2])

    def data(piece: str) -> None:
        if len(open_tags) == 2 and open_tags[1] in {"title", "creator", "subject", "keywords", "created"}:
            found[open_tags[1]] = (found.get(open_tags[1], "") + piece)[:500]

    parser = new_parser()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_tags.pop()
    parser.CharacterDataHandler = data
    try:
        parser.Parse(_small_part(archive, "docProps/core.xml") or b"<none/>", True)
    except expat.ExpatError:
        return {}  # properties are a courtesy; broken ones are no reason to refuse
    return {name: tidy for name, value in found.items() if (tidy := text.clean(value).strip())}


def _sibling(main: str, name: str) -> str:
    return f"{main.rpartition('/')[0]}/{name}".lstrip("/")


def _small_part(archive: zipfile.ZipFile, name: str) -> bytes:
    """A part that is read whole; empty when there is none."""
    if name not in archive.NameToInfo:
        return b""
    with archive.open(name) as part:
        data = part.read(MAX_SMALL_PART_BYTES + 1)
    if len(data) > MAX_SMALL_PART_BYTES:
        raise DocumentTooComplex(f"{name} inside the DOCX file is larger than {MAX_SMALL_PART_BYTES:,} bytes.")
    return data


def _stream(
    archive: zipfile.ZipFile, name: str, body: Body, progress: Callable[[int, int, str], None]
) -> Iterator[Page]:
    info = archive.NameToInfo[name]
    _check_part(info)
    parser = new_parser()
    parser.StartElementHandler = body.start
    parser.EndElementHandler = body.end
    parser.CharacterDataHandler = body.data
    parser.buffer_text = True
    done = 0
    with archive.open(info) as part:
        while block := part.read(BLOCK_BYTES):
            parser.Parse(block, False)
            done += len(block)
            progress(done, info.file_size, "bytes")
            yield from body.ready()
    parser.Parse(b"", True)


def _silent(_done: int, _total: int, _unit: str) -> None:
    pass


def new_parser() -> expat.XMLParserType:
    """Namespaces joined to local names by a space; any document type is refused."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise DocumentCorrupt("The DOCX file defines XML entities, which the format forbids.")
