"""What is uploaded: small texts of many sizes, each unlike every other, and now and then a real document."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Upload", "kind_of", "of_each_kind", "uploads", "without_serials"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"

REAL = ("bzip2-manual.pdf", "sqlite-datatypes.docx", "xorg-security-extension.pdf")
"""The same bytes each time: their documents share blob, text and vectors, so that deleting one must spare the rest."""

DIGIT = re.compile(r"\d")

WORDS = (
    "water",
    "flows",
    "downhill",
    "because",
    "every",
    "drop",
    "seeks",
    "the",
    "lowest",
    "place",
    "it",
    "can",
    "reach",
)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """`name` is `<kind>-<serial>.<ending>`.

    Each paragraph of a text has its serial, always of one length: no two texts share a vector, and all of a kind are
    cut into chunks at the same places.
    """

    kind: str
    name: str
    content: bytes


def _paragraphs(count: int) -> list[str]:
    words = random.Random(count)
    return [
        f"serial 000000 {' '.join(words.choice(WORDS) for _ in range(words.randint(30, 120)))}." for _ in range(count)
    ]


def _markdown(count: int) -> str:
    return "\n\n".join(f"## Part {number}\n\n{text}" for number, text in enumerate(_paragraphs(count)))


def _html(count: int) -> str:
    return "<html><body>" + "".join(f"<p>{text}</p>" for text in _paragraphs(count)) + "</body></html>"


_TEXTS: dict[str, tuple[str, Callable[[int], str], int]] = {
    **{f"text{size}": ("txt", lambda count: "\n\n".join(_paragraphs(count)), size) for size in (1, 2, 5, 9, 16)},
    **{f"markdown{size}": ("md", _markdown, size) for size in (1, 3, 6, 12)},
    **{f"html{size}": ("html", _html, size) for size in (2, 4, 8)},
}


def uploads(chance: random.Random) -> Iterator[Upload]:
    """Without end; one in thirty is a real document."""
    serial = 0
    while True:
        serial += 1
        names = list(_TEXTS) if chance.random() < 29 / 30 else REAL
        yield _upload(chance.choice(names).partition(".")[0], serial)


def of_each_kind() -> list[Upload]:
    return [_upload(kind, 0) for kind in (*_TEXTS, *(name.partition(".")[0] for name in REAL))]


def kind_of(name: str) -> str:
    """Of a document's name."""
    return name.rpartition("-")[0]


def without_serials(text: str) -> str:
    """Of a chunk, which may begin in the middle of one."""
    return DIGIT.sub("0", text)


def _upload(kind: str, serial: int) -> Upload:
    if kind in _TEXTS:
        ending, write, size = _TEXTS[kind]
        content = write(size).replace("serial 000000", f"serial {serial:06}").encode()
    else:
        (path,) = EXAMPLES.glob(f"{kind}.*")
        ending, content = path.suffix.removeprefix("."), path.read_bytes()
    return Upload(kind=kind, name=f"{kind}-{serial:06}.{ending}", content=content)
