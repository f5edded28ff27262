"""HTML: what a reader would see, blocks apart, headings as Markdown `# Title` lines.

The walk is a loop, not a recursion: a page may nest a hundred thousand elements.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from arqueduct.artifacts import Page
from arqueduct.errors import DocumentHasNoText, DocumentTooComplex
from arqueduct_worker.parsing import text
from arqueduct_worker.parsing.text import clean

__all__ = ["extract"]

META_WITHIN: Final = 4096  # the standard says 1,024; pages in the wild begin with longer comments
MAX_TITLE_CHARS: Final = 200
PROGRESS_EVERY: Final = 10_000  # nodes

MAX_NESTING: Final = 40_000  # two seconds of the parser; 100,000 take twenty
NESTING: Final = re.compile(r"</?(?:div|span|section|article|blockquote|ul|ol|dl|table|b|i|font)\b", re.IGNORECASE)

# fmt: off
UNSEEN: Final = frozenset({
    "head", "script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "audio",
    "video", "select", "datalist", "dialog",
})
CHROME: Final = frozenset({"nav"})
CHROME_ROLES: Final = frozenset({"navigation", "search", "menu", "menubar"})
LINE_BLOCKS: Final = frozenset({
    "div", "tr", "li", "dt", "dd", "br", "caption", "thead", "tbody", "tfoot", "summary", "address", "fieldset",
})
PARAGRAPH_BLOCKS: Final = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "pre", "blockquote", "section", "article",
    "main", "aside", "header", "footer", "figure", "hr", "form",
})
# fmt: on
HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}

CHARSET: Final = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{2,40})",
    re.IGNORECASE,
)
SUPERSETS: Final = {  # what browsers read for a label, by the WHATWG Encoding Standard
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}


def extract(
    path: Path, most_chars: int, progress: Callable[[int, int, str], None], *, navigation: bool = False
) -> Page:
    """The visible text as one page, the title as its heading; without menus, unless `navigation` wants them or there is
    nothing else. Raises `DocumentTooLong`, `DocumentHasNoText`.
    """
    # Markup may be several times the text that it carries.
    source = text.decode(path, 4 * most_chars, encoding=_declared(path))
    size = len(source)
    _check_nesting(source)
    tree = LexborHTMLParser(source)
    del source
    title = _title(tree)
    body = _visible(
        tree, skip_chrome=not navigation, progress=lambda done: progress(min(done, size), size, "characters")
    )
    body = body or _visible(tree, skip_chrome=False, progress=lambda _: None)
    if not body:
        raise DocumentHasNoText("The page has no text that a reader would see.")
    text.check_length(len(body), most_chars)
    return Page(number=1, text=body, heading=title)


def _declared(path: Path) -> str | None:
    """The legacy encoding that the page declares, where it really reads so and is not UTF-8 after all."""
    with path.open("rb") as file:
        found = CHARSET.search(file.read(META_WITHIN))
    if not found or text.reads_as(path, "utf-8"):
        return None
    try:
        label = (found[1] or found[2]).decode("ascii", "replace").lower().removeprefix("x-")
        name = codecs.lookup(label).name
    except LookupError:
        return None
    name = SUPERSETS.get(name, name)
    # A label that could be read as ASCII cannot be UTF-16: it is the mark, or detection, that tells.
    return name if not name.startswith("utf") and text.reads_as(path, name) else None


def _check_nesting(source: str) -> None:
    """The parser's time grows with the square of the nesting; nothing that people read comes near the limit."""
    depth = 0
    for tag in NESTING.finditer(source):
        depth += -1 if tag[0].startswith("</") else 1
        if depth > MAX_NESTING:
            raise DocumentTooComplex(f"The page nests more than {MAX_NESTING:,} elements in each other.")


def _title(tree: LexborHTMLParser) -> str | None:
    node = tree.css_first("title", default=None)
    title = " ".join(clean(node.text(deep=False)).split()) if node else ""
    return title[:MAX_TITLE_CHARS] or None


def _visible(tree: LexborHTMLParser, *, skip_chrome: bool, progress: Callable[[int], None]) -> str:
    lines = _Lines()
    for count, (node, tag, entering) in enumerate(_walk(tree.root, skip_chrome=skip_chrome)):
        if tag == "-text":
            lines.add(node.text_content or "")
        elif entering:
            lines.open(tag)
        else:
            lines.close(tag)
        if count % PROGRESS_EVERY == 0:
            progress(lines.chars)
    return lines.finish()


def _walk(root: LexborNode | None, *, skip_chrome: bool) -> Iterator[tuple[LexborNode, str, bool]]:
    """Each visible node with its tag: elements once as they open and once as they close, in document order."""
    if root is None:
        return
    node, depth = root, 0
    while True:
        tag = node.tag or ""
        child = None
        if _is_seen(node, tag, skip_chrome=skip_chrome):
            yield node, tag, True
            child = node.first_child
        if child is not None:
            node, depth = child, depth + 1
            continue
        while True:
            if node.is_element_node:
                yield node, node.tag or "", False
            if depth == 0:
                return
            if (sibling := node.next) is not None:
                node = sibling
                break
            parent = node.parent
            if parent is None:
                return
            node, depth = parent, depth - 1


def _is_seen(node: LexborNode, tag: str, *, skip_chrome: bool) -> bool:
    if tag == "-text":
        return True
    if tag in UNSEEN or not node.is_element_node:
        return False
    if not skip_chrome:
        return True
    return tag not in CHROME and (node.attrs.sget("role") or "") not in CHROME_ROLES


class _Lines:
    """Collects text as a browser lays it out: white space collapses, except in `pre`; blocks begin new lines."""

    def __init__(self) -> None:
        self.chars = 0
        self._parts: list[str] = []
        self._breaks = 0
        self._space = False
        self._prefix = ""
        self._pre = 0

    def add(self, raw: str) -> None:
        raw = clean(raw)
        if self._pre:
            self._write(raw.replace("\r\n", "\n"))
            return
        words = " ".join(raw.split())
        if not words:
            self._space = self._space or bool(raw)
            return
        self._space = self._space or raw[0].isspace()
        self._write(words)
        self._space = raw[-1].isspace()

    def open(self, tag: str) -> None:
        self._break(tag)
        if tag in HEADINGS:
            self._prefix = HEADINGS[tag]
        elif tag == "li":
            self._prefix = "- "
        elif tag in {"td", "th"} and self._parts and not self._breaks:
            self._parts.append("\t")
            self._space = False
        self._pre += tag == "pre"

    def close(self, tag: str) -> None:
        self._pre -= tag == "pre"
        self._break(tag)
        if tag in HEADINGS:
            self._prefix = ""

    def finish(self) -> str:
        lines = "".join(self._parts).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _break(self, tag: str) -> None:
        wanted = 2 if tag in PARAGRAPH_BLOCKS else int(tag in LINE_BLOCKS)
        if wanted:
            self._breaks = max(self._breaks, wanted)
            self._space = False

    def _write(self, words: str) -> None:
        if not words:
            return
        if self._parts:
            if self._breaks:
                self._parts.append("\n" * self._breaks)
            elif self._space and not self._parts[-1].endswith(("\t", "\n", " ")):
                self._parts.append(" ")
        self._parts.append(self._prefix + words)
        self.chars += len(words)
        self._breaks, self._space, self._prefix = 0, False, ""
