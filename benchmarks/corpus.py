"""Chooses the documents of each workload from a folder. The choice follows the SHA-256 of the files, not their names.

`pdfs`: PDFs of 1 to 60 pages. `texts`: pieces of 500 to 900 characters, one chunk each. `big_pdf`: the thinnest PDF of
1,000 pages or more. Where the folder has too few PDFs or no big one, they are made up from words of its documents.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sides import shared

__all__ = ["Corpus", "Scale", "choose", "cut"]

SEED = 7
MOST_PAGES, BIG_PAGES = 60, 1000
PIECE_CHARS = 500, 900
"""Least and most: no piece is longer than a chunk, so that all sides make equally many."""
LEAST_PIECE = 400
PAGE_WORDS = 320
"""Of a made-up page: about 2,000 characters, as a real one has."""
TEXT_SUFFIXES = frozenset({".txt", ".md", ".html"})


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many documents there are to be."""

    pdfs: int
    least_pdfs: int
    """Where the folder has fewer, made-up ones fill up to here."""
    texts: int
    with_big: bool = True


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A list of paths for each workload, and what is made up in them."""

    lists: dict[str, list[Path]]
    made_pdfs: int
    is_big_made: bool

    def write(self, folder: Path) -> None:
        """One file `NAME.list` a workload."""
        for name, paths in self.lists.items():
            (folder / f"{name}.list").write_text("".join(f"{path}\n" for path in paths))


def choose(documents: Path, folder: Path, scale: Scale) -> Corpus:
    """Writes what has to be made into `folder`. Raises `ValueError` if `documents` has no text to cut."""
    folder.mkdir(parents=True, exist_ok=True)
    sized = [(_pages(path), path) for path in _by_content(documents, {".pdf"})]
    small = [path for pages, path in sized if 1 <= pages <= MOST_PAGES][: scale.pdfs]
    huge = sorted((pages, path) for pages, path in sized if pages >= BIG_PAGES)[:1]
    words = _words(documents, small)
    if len(words) < 1000:
        raise ValueError(f"{documents} has too little text to make a corpus of: name a folder with DOCUMENTS=…")
    made = _made_pdfs(words, folder, max(0, scale.least_pdfs - len(small)))
    big = [path for _, path in huge]
    if scale.with_big and not big:
        big = [_made_pdf(words, folder / "big.pdf", BIG_PAGES, random.Random(SEED + 1))]
    return Corpus(
        lists={"pdfs": small + made, "texts": _texts(words, folder / "texts", scale.texts), "big_pdf": big},
        made_pdfs=len(made),
        is_big_made=not huge,
    )


def cut(words: Sequence[str], count: int, generator: random.Random) -> Iterator[str]:
    """Texts of chosen words, no two alike: a stretch of the documents, its sentences in another order."""
    for number in range(count):
        size = generator.randint(*PIECE_CHARS)
        text = f"{number:05}"
        while len(text) < LEAST_PIECE or len(text) < size:
            begin = generator.randrange(len(words))
            stretch = " ".join(words[begin : begin + generator.randint(6, 14)])
            if len(text) + len(stretch) > PIECE_CHARS[1]:
                break
            text = f"{text} {stretch}."
        yield text


def _by_content(folder: Path, suffixes: set[str] | frozenset[str]) -> list[Path]:
    """Each content once, in the order of its hash."""
    found = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path.resolve()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes and path.is_file()
    }
    return [path for _, path in sorted(found.items())]


def _pages(path: Path) -> int:
    import pypdfium2  # type: ignore[import-untyped]  # ships no types

    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return len(pdf)
    except pypdfium2.PdfiumError:
        return 0


def _words(documents: Path, pdfs: Sequence[Path]) -> list[str]:
    texts = [shared.extract(str(path))[0] for path in pdfs]
    texts += [path.read_text(errors="replace") for path in _by_content(documents, TEXT_SUFFIXES)]
    return [word for text in texts for word in re.findall(r"[\w'-]{1,30}", text)]


def _texts(words: Sequence[str], folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, text in enumerate(cut(words, count, random.Random(SEED))):
        paths.append((folder / f"{number:05}.txt").resolve())
        paths[-1].write_text(text)
    return paths


def _made_pdfs(words: Sequence[str], folder: Path, count: int) -> list[Path]:
    generator = random.Random(SEED + 2)
    return [
        _made_pdf(words, folder / f"made-{number:03}.pdf", generator.randint(1, 24), generator)
        for number in range(count)
    ]


def _made_pdf(words: Sequence[str], path: Path, pages: int, generator: random.Random) -> Path:
    """A page is a stretch of the documents, so that each says something else."""
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), invariant=True)
    for number in range(pages):
        lines = canvas.beginText(60, 780)
        lines.textLine(f"Page {number + 1}")
        begin = generator.randrange(max(1, len(words) - PAGE_WORDS))
        for first in range(begin, begin + PAGE_WORDS, 10):
            lines.textLine(" ".join(generator.sample(words[first : first + 10], len(words[first : first + 10]))))
        canvas.drawText(lines)
        canvas.showPage()
    canvas.save()
    return path.resolve()
