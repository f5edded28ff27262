"""What a client calls its file: shown to people, searched for an extension, and never used as a path on a disk."""

import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

from python_multipart.multipart import parse_options_header

from arqueduct.errors import PathTooLong

__all__ = ["attachment", "disposition", "relative", "shown"]

LONGEST = 255
LONGEST_PATH = 1024
"""Bytes of UTF-8; an index of Postgres takes 2,700."""
MOST_STEPS = 64
STEP = re.compile(r"[/\\]")
DRIVE = re.compile(r"^[A-Za-z]:(?=[/\\])")
NOWHERE = frozenset({"", ".", ".."})
EXTENDED = re.compile(rb"""filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s"]+)""", re.IGNORECASE)
"""RFC 5987: `filename*=UTF-8''na%C3%AFve.pdf`. Not meant for forms, but some clients send it."""
DIRECTIONS = frozenset(
    "\u061c\u200b\u200e\u200f\ufeff" + "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
)
"""Turn the direction of writing or have no width: `invoice\u202efdp.exe` would be shown as `invoiceexe.pdf`."""


def disposition(header: bytes) -> tuple[str, str | None]:
    """Field and file name out of a part's Content-Disposition; no file name: an ordinary field."""
    _, options = parse_options_header(header)
    name = _decoded(options.get(b"name", b""))
    if extended := EXTENDED.search(header):
        charset = "utf-8" if extended[1].lower() == b"utf-8" else "latin-1"
        return name, unquote_to_bytes(extended[2]).decode(charset, "replace")
    plain = options.get(b"filename")
    return name, None if plain is None else _decoded(plain)


def shown(name: str) -> str:
    """The last step of the path that some clients send, without what cannot be shown, at most 255 characters."""
    clean = _clean(STEP.split(name)[-1])
    return "unnamed" if clean in NOWHERE else _cut(clean)


def relative(name: str) -> str:
    """Where a file lies in a folder that was sent: steps joined by `/`, none of which leads up or out.

    Backslashes part steps too; drives, empty steps, `.` and `..` are dropped. Characters are composed (NFC), so that
    the same name from macOS and from Linux is one. Raises `PathTooLong`.
    """
    if len(name) > 4 * LONGEST_PATH:
        raise PathTooLong
    cleaned = [_clean(unicodedata.normalize("NFC", step)) for step in STEP.split(DRIVE.sub("", name, count=1))]
    steps = [_cut(step) for step in cleaned if step not in NOWHERE]
    if not steps or cleaned[-1] in NOWHERE:
        steps.append("unnamed")
    path = "/".join(steps)
    if len(steps) > MOST_STEPS or len(path.encode()) > LONGEST_PATH:
        raise PathTooLong
    return path


def _clean(step: str) -> str:
    return " ".join("".join(" " if _is_hidden(character) else character for character in step).split())


def _cut(clean: str) -> str:
    if len(clean) <= LONGEST:
        return clean
    stem, dot, extension = clean.rpartition(".")
    if dot and stem and len(extension) < 20:
        return f"{stem[: LONGEST - len(extension) - 1]}.{extension}"
    return clean[:LONGEST]


def attachment(name: str) -> str:
    """Content-Disposition under which a browser saves the file (RFC 6266): plain ASCII, and the whole name."""
    plain = "".join(character if character.isascii() and character not in '"\\%' else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _decoded(raw: bytes) -> str:
    """UTF-8, as browsers send it; else Latin-1, which reads anything."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in DIRECTIONS
