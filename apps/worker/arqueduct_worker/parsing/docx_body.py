"""Turns the events of WordprocessingML into pages of text."""

from collections.abc import Iterator
from typing import Final

from arqueduct.artifacts import Page
from arqueduct.errors import DocumentTooLong
from arqueduct_worker.parsing.text import check_length, clean

__all__ = ["Body"]

SKIPPED: Final = frozenset({"Fallback", "delText", "instrText", "del", "moveFrom", "pPrChange", "rPrChange", "sectPr"})
"""What is not shown, with all it contains. A `Fallback` repeats the drawing before it for older programs."""

PLAIN: Final = {"tab": "\t", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
PAGE_BREAK: Final = "\f"
PICTURE: Final = "\x1f"  # makes a page without text count; no text holds it, nor a form feed


class Body:
    """Feed it with expat's events; take finished pages from `ready`, the rest from `finish`.

    A page ends at an explicit break or where Word says it ended when it was last rendered. Both often stand
    together, so a break after which no text came does not count again.
    """

    def __init__(self, levels: dict[str, int], max_pages: int, most_chars: int) -> None:
        self._levels = levels
        self._max_pages, self._most_chars = max_pages, most_chars
        self._chars = 0
        self._number = 1
        self._done: list[Page] = []
        self._blocks: list[str] = []
        self._last_was_row = self._pictured = False
        self._skipping = 0
        self._in_text = False
        self._in_tabs = 0
        self._paragraphs: list[list[str]] = []
        self._level: list[int] = []
        self._rows: list[list[str]] = []
        self._cells: list[list[str]] = []

    def ready(self) -> Iterator[Page]:
        pages, self._done = self._done, []
        yield from pages

    def finish(self) -> Iterator[Page]:
        self._pictured = self._pictured or self._number == 1  # a blank document is one blank page
        self._turn_page()
        yield from self.ready()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        if self._skipping or name in SKIPPED:
            self._skipping += 1
        elif name == "t":
            self._in_text = True
        elif name == "p":
            self._paragraphs.append([])
            self._level.append(0)
        elif name == "tr":
            self._rows.append([])
        elif name == "tc":
            self._cells.append([])
        elif name == "tabs":
            self._in_tabs += 1
        elif self._paragraphs:
            self._inside_paragraph(name, attributes)

    def _inside_paragraph(self, name: str, attributes: dict[str, str]) -> None:
        if name == "pStyle":
            self._level[-1] = self._level[-1] or self._levels.get(_value(attributes), 0)
        elif name == "outlineLvl" and _value(attributes).isdecimal():
            level = int(_value(attributes)) + 1
            self._level[-1] = level if level <= 6 else 0
        elif name == "lastRenderedPageBreak" or (name == "br" and _value(attributes, "type") == "page"):
            self._paragraphs[-1].append(PAGE_BREAK)
        elif name == "br":
            self._paragraphs[-1].append("\n")
        elif name in {"drawing", "pict"}:
            self._paragraphs[-1].append(PICTURE)
        elif name in PLAIN and not self._in_tabs:
            self._paragraphs[-1].append(PLAIN[name])

    def data(self, piece: str) -> None:
        if self._in_text and not self._skipping and self._paragraphs:
            self._chars += len(piece)
            check_length(self._chars, self._most_chars)
            self._paragraphs[-1].append(clean(piece))

    def end(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        name = tag.rpartition(" ")[2]
        if name == "t":
            self._in_text = False
        elif name == "tabs":
            self._in_tabs -= 1
        elif name == "p" and self._paragraphs:
            self._end_paragraph()
        elif name == "tc" and self._cells:
            cell = " ".join(filter(None, self._cells.pop()))
            if self._rows:
                self._rows[-1].append(" ".join(cell.split()))
        elif name == "tr" and self._rows:
            self._end_row()

    def _end_paragraph(self) -> None:
        written = "".join(self._paragraphs.pop())
        level = self._level.pop()
        if self._cells:
            self._cells[-1].append(written.replace(PAGE_BREAK, " ").replace(PICTURE, "").strip())
            return
        prefix = "#" * level + " " if level else ""
        first, *others = written.split(PAGE_BREAK)
        self._add(prefix, first)
        for part in others:
            self._turn_page()
            self._add(prefix, part)

    def _add(self, prefix: str, written: str) -> None:
        self._pictured = self._pictured or PICTURE in written
        written = written.replace(PICTURE, "")
        written = " ".join(written.split()) if prefix else written.strip("\n").rstrip()
        if written.strip():
            self._blocks.append(("\n\n" if self._blocks else "") + prefix + written)
            self._last_was_row = False

    def _end_row(self) -> None:
        row = "\t".join(self._rows.pop()).rstrip()
        if not row:
            return
        if self._cells:
            self._cells[-1].append(row)
            return
        between = "\n" if self._last_was_row else "\n\n"
        self._blocks.append((between if self._blocks else "") + row)
        self._last_was_row = True

    def _turn_page(self) -> None:
        if not self._blocks and not self._pictured:
            return
        self._done.append(Page(number=self._number, text="".join(self._blocks)))
        self._blocks = []
        self._last_was_row = self._pictured = False
        self._number += 1
        if self._number > self._max_pages + 1:
            raise DocumentTooLong(f"The file has more than {self._max_pages:,} pages.")


def _value(attributes: dict[str, str], name: str = "val") -> str:
    return next((value for key, value in attributes.items() if key.rpartition(" ")[2] == name), "")
