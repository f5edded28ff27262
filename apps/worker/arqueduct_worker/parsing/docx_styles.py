"""Which paragraph styles of a DOCX are headings: by their own outline level or name, or the style they stem from."""

import re
from typing import Final
from xml.parsers import expat

__all__ = ["heading_levels"]

HEADING_NAME: Final = re.compile(r"(?:heading|überschrift|titre|título|titolo)\s*([1-9])", re.IGNORECASE)
DEEPEST: Final = 6  # Markdown has six levels
MAX_DESCENT: Final = 20


def heading_levels(styles: bytes) -> dict[str, int]:
    """Style id to level 1 … 6 out of `word/styles.xml`; empty where that is missing or broken."""
    reader = _Styles()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    try:
        if styles:
            parser.Parse(styles, True)
    except expat.ExpatError:
        return {}
    return reader.levels()


class _Styles:
    def __init__(self) -> None:
        self._current = ""
        self._parents: dict[str, str] = {}
        self._own: dict[str, int | None] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        values = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        if name == "style":
            self._current = values.get("styleId", "") if values.get("type") == "paragraph" else ""
        elif not self._current:
            return
        elif name == "name":
            self._own.setdefault(self._current, _named_level(values.get("val", "")))
        elif name == "basedOn":
            self._parents[self._current] = values.get("val", "")
        elif name == "outlineLvl" and values.get("val", "").isdecimal():
            level = int(values["val"]) + 1
            self._own[self._current] = level if level <= DEEPEST else None

    def levels(self) -> dict[str, int]:
        found = {style: self._level(style) for style in self._own}
        return {style: level for style, level in found.items() if level}

    def _level(self, style: str) -> int | None:
        for _ in range(MAX_DESCENT):
            if own := self._own.get(style):
                return own
            if style not in self._parents:
                return None
            style = self._parents[style]
        return None


def _named_level(name: str) -> int | None:
    if name.strip().lower() == "title":
        return 1
    found = HEADING_NAME.fullmatch(name.strip())
    return min(int(found[1]), DEEPEST) if found else None
