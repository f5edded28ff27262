"""Cuts the pages of a document into passages that overlap a little, in windows: memory is bounded by the settings.

The text is cut by langchain's recursive splitter without overlap and without stripping, so its pieces join to
exactly what went in and offsets are sums. The overlap is then taken from the text before a piece, at a word's start.
Runs without white space never reach the splitter: on a word of 20 MB it falls to 0.6 MB/s.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from langchain_text_splitters import RecursiveCharacterTextSplitter

from arqueduct.artifacts import SEPARATOR, Chunk, Page

__all__ = ["chunks"]

WINDOW_CHARS: Final = 256 * 1024
CHARS_PER_TOKEN: Final = 4
MAX_HEADING_CHARS: Final = 200

PLAIN_SEPARATORS: Final = (r"\n\n", r"\n", r"(?<=[.!?;:]) ", r"\s", "")
MARKDOWN_SEPARATORS: Final = (r"\n#{1,6} ", r"```\n", r"\n(?:\*\*\*+|---+|___+)\n", *PLAIN_SEPARATORS)

# A fence opens or closes code, whose `#` lines are comments.
HEADING_OR_FENCE: Final = re.compile(
    r"^(?:[ ]{0,3}#{1,6}[ \t]+(?P<title>[^\n]*?)[ \t#]*$|[ ]{0,3}(?P<fence>```|~~~))", re.MULTILINE
)
HEADING_LINE: Final = re.compile(r"[ ]{0,3}#{1,6}[ \t]")
SENTENCE_END: Final = re.compile(r".*[。！？；，、.!?;,)\]}>]", re.DOTALL)


def chunks(pages: Iterable[Page], chunk_chars: int, overlap: int, *, markdown: bool = True) -> Iterator[Chunk]:
    """Passages of at most `chunk_chars` characters that begin up to `overlap` characters before the last one's end.

    An overlap of more than half a chunk is taken as half of it. A passage that begins with a heading repeats
    nothing: what stands above belongs to another heading. Blank text gives no passage.
    """
    overlap = min(overlap, chunk_chars // 2)
    text = _Text(pages)
    cutter = _Cutter(chunk_chars - overlap, markdown=markdown)
    outline = _Outline(markdown=markdown)
    ordinal = 0
    spans = _spans(text, cutter, max(WINDOW_CHARS, 4 * chunk_chars))
    for start, end in _headings_joined(text, spans, chunk_chars) if markdown else spans:
        heading, begins_with_it = outline.at(text.between(start, end))
        start, end = _stripped(text, start, end)
        if start == end:
            continue
        heading = heading or text.headings.get(text.page_at(start))
        if not begins_with_it:
            start = _reach_back(text, start, min(overlap, chunk_chars - (end - start)))
        first, last = text.page_at(start), text.page_at(end - 1)
        yield Chunk(
            ordinal=ordinal,
            text=text.between(start, end),
            first_page=text.numbers[first],
            last_page=text.numbers[last],
            start=start,
            end=end,
            tokens=max(1, -(-(end - start) // CHARS_PER_TOKEN)),
            heading=heading,
        )
        ordinal += 1


class _Text:
    """The document's text as far as it is needed: grows at the end page by page, and forgets its beginning."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self.numbers: list[int] = []
        self.headings: dict[int, str] = {}
        self._starts: list[int] = []
        self._pages = iter(pages)
        self._rest = ""
        self._rest_from = 0
        self._window = ""
        self._begin = 0

    @property
    def end(self) -> int:
        return self._begin + len(self._window)

    def between(self, start: int, end: int) -> str:
        return self._window[start - self._begin : end - self._begin]

    def page_at(self, offset: int) -> int:
        """Which page, counted from 0, holds the character."""
        return bisect_right(self._starts, offset) - 1

    def grow_to(self, end: int) -> bool:
        """Reads on until `end` at most; false when the document ends there."""
        parts, length = [self._window], len(self._window)
        while self._begin + length < end:
            if self._rest_from >= len(self._rest) and not self._next_page(self._begin + length):
                break
            piece = self._rest[self._rest_from : self._rest_from + end - self._begin - length]
            self._rest_from += len(piece)
            length += len(piece)
            parts.append(piece)
        self._window = "".join(parts)
        return self._begin + length >= end

    def forget(self, before: int) -> None:
        cut = max(0, before - self._begin)
        self._window = self._window[cut:]
        self._begin += cut

    def _next_page(self, at: int) -> bool:
        page = next(self._pages, None)
        if page is None:
            return False
        between = SEPARATOR if self.numbers else ""
        if page.heading:
            self.headings[len(self.numbers)] = page.heading
        self._starts.append(at + len(between))
        self.numbers.append(page.number)
        self._rest, self._rest_from = between + page.text, 0
        return True


def _spans(text: _Text, cutter: "_Cutter", window: int) -> Iterator[tuple[int, int]]:
    """Pieces of the text without a gap. The last of each window waits for what follows it."""
    start, more = 0, True
    while more:
        text.forget(start - 2 * cutter.size)  # an overlap, or a heading that waits, may reach back that far
        more = text.grow_to(start + window)
        lengths = cutter.cut(text.between(start, text.end))
        for length in lengths[:-1] if more else lengths:
            yield start, start + length
            start += length


def _headings_joined(text: _Text, spans: Iterable[tuple[int, int]], most: int) -> Iterator[tuple[int, int]]:
    """Headings that were cut off alone go with what they stand above, where both fit into a passage."""
    waiting: tuple[int, int] | None = None
    for start, end in spans:
        span = (start, end)
        if waiting and end - waiting[0] <= most:
            span = (waiting[0], end)
        elif waiting:
            yield waiting
        waiting = span if _is_headings_only(text.between(*span)) else None
        if not waiting:
            yield span
    if waiting:
        yield waiting


def _is_headings_only(piece: str) -> bool:
    lines = [line for line in piece.split("\n") if line.strip()]
    return bool(lines) and all(HEADING_LINE.match(line) for line in lines)


class _Cutter:
    """Cuts a window into pieces of at most `size` characters whose joint is the window again."""

    def __init__(self, size: int, *, markdown: bool) -> None:
        self.size = size
        self._long_run = re.compile(rf"\S{{{max(2, size - 2)},}}|\s{{{size},}}")
        self._split = RecursiveCharacterTextSplitter(
            separators=list(MARKDOWN_SEPARATORS if markdown else PLAIN_SEPARATORS),
            is_separator_regex=True,
            keep_separator="start",
            strip_whitespace=False,
            chunk_size=size,
            chunk_overlap=0,
        ).split_text

    def cut(self, window: str) -> list[int]:
        lengths: list[int] = []
        at = 0
        for run in self._long_run.finditer(window):
            lengths += map(len, self._split(window[at : run.start()]))
            lengths += self._cut_run(run[0])
            at = run.end()
        lengths += map(len, self._split(window[at:]))
        return lengths

    def _cut_run(self, run: str) -> Iterator[int]:
        """At the last mark of a sentence in the second half – Chinese and Japanese know no spaces – or anywhere."""
        at = 0
        while len(run) - at > self.size:
            half = at + self.size // 2
            mark = SENTENCE_END.match(run, half, at + self.size)
            end = mark.end() if mark else at + self.size
            yield end - at
            at = end
        yield len(run) - at


class _Outline:
    """The heading in force, while the text goes by piece by piece."""

    def __init__(self, *, markdown: bool) -> None:
        self._markdown = markdown
        self._title: str | None = None
        self._in_code = False

    def at(self, piece: str) -> tuple[str | None, bool]:
        """The heading in force where the piece begins, and whether the piece begins with it; then reads the piece."""
        if not self._markdown:
            return None, False
        title, begins = self._title, False
        blank = len(piece) - len(piece.lstrip())
        for found in HEADING_OR_FENCE.finditer(piece):
            if found["fence"]:
                self._in_code = not self._in_code
            elif not self._in_code and found["title"]:
                self._title = found["title"][:MAX_HEADING_CHARS].strip()
                if found.start() <= blank:
                    title, begins = self._title, True
        return title, begins


def _stripped(text: _Text, start: int, end: int) -> tuple[int, int]:
    piece = text.between(start, end)
    body = piece.lstrip()
    start += len(piece) - len(body)
    return start, start + len(body.rstrip())


def _reach_back(text: _Text, start: int, overlap: int) -> int:
    """Up to `overlap` characters before `start`, at the beginning of a word where there is one."""
    earliest = max(0, start - overlap)
    before = text.between(earliest, start)
    if not before or earliest == 0:
        return earliest + len(before) - len(before.lstrip())
    word = re.search(r"\s+(?=\S)", before)
    at = word.end() if word else len(before) - len(before.lstrip())
    return earliest + at
