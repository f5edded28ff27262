"""PDF: text page by page with pdfium, each page freed before the next; pypdf where pdfium refuses the file.

pdfium has no limits of its own: the page count is checked before the loop, and the process it runs in has limits
on memory and time. pypdf has limits, but raises whatever its reading stumbles over, hence `except Exception`.
"""

import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types

from arqueduct.artifacts import Page
from arqueduct.errors import ArqueductError, DocumentCorrupt, DocumentEncrypted, DocumentTooLong
from arqueduct_worker.parsing.ocr import Scans
from arqueduct_worker.parsing.text import clean

__all__ = ["extract"]

MAX_OUTLINE: Final = 20_000  # entries; more is a generated index or an attack, and nobody's heading
MAX_HEADING_CHARS: Final = 200
MAX_METADATA_CHARS: Final = 500
SPACE_AT_LINE_END: Final = re.compile(r"[ \t]+(?=\n)")
PASSWORD_NEEDED: Final = 4  # FPDF_ERR_PASSWORD

log = logging.getLogger(__name__)


def extract(
    path: Path,
    max_pages: int,
    metadata: dict[str, str],
    progress: Callable[[int, int, str], None],
    *,
    scans: Scans | None = None,
) -> Iterator[Page]:
    """Pages in order, blank ones too; fills `metadata` before the first. `scans` recognises what is a picture.

    Raises `DocumentEncrypted` where a password is needed to open, `DocumentTooLong`, `DocumentCorrupt`.
    """
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if error.err_code == PASSWORD_NEEDED:
            raise DocumentEncrypted from None
        log.info("pdfium refuses %s: %s", path, error)
        yield from _with_pypdf(path, max_pages, metadata, progress)
        return
    with document:
        total = len(document)
        _check_length(total, max_pages)
        metadata |= _bounded(document.get_metadata_dict(skip_empty=True))
        headings = _Outline(document)
        broken = 0
        for index in range(total):
            text = _page_text(document, index, scans)
            broken += text is None
            progress(index + 1, total, "pages")
            yield Page(number=index + 1, text=text or "", heading=headings.at(index))
        if broken == total:
            raise DocumentCorrupt("The file is damaged: none of its pages can be read.")


def _page_text(document: Any, index: int, scans: Scans | None) -> str | None:
    """`None` for a page that is damaged; the others may still be fine."""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return None
    try:
        textpage = page.get_textpage()
        try:
            text = _tidy(textpage.get_text_range())
            return _recognised(page, text, scans) if scans else text
        finally:
            textpage.close()
    except pdfium.PdfiumError:
        return None
    finally:
        page.close()


def _recognised(page: Any, text: str, scans: Scans) -> str:
    """A page that cannot be drawn keeps its text, as one that cannot be recognised does."""
    try:
        return _tidy(scans.text_of(page, text))
    except pdfium.PdfiumError as error:
        log.warning("a page was not drawn: %s", error)
        scans.unread += 1
        return text


def _tidy(text: str) -> str:
    """pdfium writes U+FFFE for a hyphen at a line's end and leaves the break out: dropping it joins the word."""
    return SPACE_AT_LINE_END.sub("", clean(text.replace("\r\n", "\n").replace("\r", "\n")))


def _check_length(pages: int, most: int) -> None:
    if pages > most:
        raise DocumentTooLong(f"The file has {pages:,} pages; one document may have {most:,}.")


def _bounded(found: dict[str, Any]) -> dict[str, str]:
    wanted = ((name, found.get(name)) for name in ("Title", "Author", "Subject", "Keywords", "CreationDate"))
    tidy = {name.lower(): clean(str(value)).strip()[:MAX_METADATA_CHARS] for name, value in wanted if value}
    return {name: value for name, value in tidy.items() if value}


class _Outline:
    """Which entry of the outline is in force at a page: the first that points to it, else the last one before."""

    def __init__(self, document: Any) -> None:
        first: dict[int, str] = {}
        last: dict[int, str] = {}
        # A broken outline is no reason to refuse a document: what was read until then counts.
        with suppress(pdfium.PdfiumError, ValueError, RecursionError, OSError):
            for entry in islice(document.get_toc(), MAX_OUTLINE):
                target = entry.get_dest()
                page = target.get_index() if target else None
                title = " ".join(clean(entry.get_title() or "").split())[:MAX_HEADING_CHARS]
                if page is not None and title:
                    first.setdefault(page, title)
                    last[page] = title
        self._first, self._last = first, last
        self._pages = sorted(last)

    def at(self, page: int) -> str | None:
        if page in self._first:
            return self._first[page]
        before = bisect_right(self._pages, page)
        return self._last[self._pages[before - 1]] if before else None


def _with_pypdf(
    path: Path, max_pages: int, metadata: dict[str, str], progress: Callable[[int, int, str], None]
) -> Iterator[Page]:
    from pypdf import PdfReader  # half a second that most documents never need

    try:
        with PdfReader(path, strict=False) as reader:
            if reader.is_encrypted and not reader.decrypt(""):
                raise DocumentEncrypted
            total = len(reader.pages)
            _check_length(total, max_pages)
            if not total:
                raise DocumentCorrupt("The file is damaged: it has no pages.")
            with suppress(Exception):
                metadata |= _bounded({name.lstrip("/"): value for name, value in (reader.metadata or {}).items()})
            for index in range(total):
                text = _tidy(reader.pages[index].extract_text())
                progress(index + 1, total, "pages")
                yield Page(number=index + 1, text=text)
    except (ArqueductError, MemoryError):
        raise
    except Exception as error:
        log.info("pypdf refuses %s: %r", path, error)
        raise DocumentCorrupt from error
