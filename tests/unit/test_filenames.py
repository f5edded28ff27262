"""Paths that clients send: what is kept of them never leads up, out or astray."""

import pytest

from arqueduct.errors import PathTooLong
from arqueduct_backend.filenames import relative, shown

PATHS = [
    ("lease.pdf", "lease.pdf"),
    ("2026/march/lease.pdf", "2026/march/lease.pdf"),
    ("/etc/passwd", "etc/passwd"),
    ("//server/share/a.txt", "server/share/a.txt"),
    ("../../etc/passwd", "etc/passwd"),
    ("a/../../b.txt", "a/b.txt"),
    ("a/./b//c.txt", "a/b/c.txt"),
    ("..\\..\\boot.ini", "boot.ini"),
    ("C:\\Users\\me\\report.txt", "Users/me/report.txt"),
    ("c:/x/y.txt", "x/y.txt"),
    ("a\\b/c.txt", "a/b/c.txt"),
    ("....//....//x.txt", "..../..../x.txt"),
    ("a /b. /c.txt", "a/b./c.txt"),
    ("a\x00b/c\x1f.txt", "a b/c .txt"),
    ("\u202e/x\u2066.txt", "x .txt"),
    ("cafe\u0301/na\u0131ve.txt", "caf\u00e9/na\u0131ve.txt"),
    ("a/", "a/unnamed"),
    ("a/..", "a/unnamed"),
    ("/", "unnamed"),
    (". .", ". ."),
    ("%2e%2e/x.txt", "%2e%2e/x.txt"),
    ("\u2025/x.txt", "\u2025/x.txt"),
    ("\ud800/x.txt", "x.txt"),
    (f"{'ü' * 400}.txt", "ü" * 251 + ".txt"),
    (f"{'a' * 300}/b.txt", f"{'a' * 255}/b.txt"),
]


@pytest.mark.parametrize(("sent", "kept"), PATHS, ids=[repr(sent)[:30] for sent, _ in PATHS])
def test_a_path_is_made_relative_and_safe(sent: str, kept: str) -> None:
    assert relative(sent) == kept
    assert relative(kept) == kept, "what is safe stays as it is"
    assert not {"", ".", ".."} & set(kept.split("/"))
    assert shown(kept) == kept.rpartition("/")[2]


@pytest.mark.parametrize("sent", ["a/" * 64 + "b.txt", "/".join(["ü" * 200] * 3), "x" * 5000])
def test_a_path_has_an_end(sent: str) -> None:
    with pytest.raises(PathTooLong):
        relative(sent)
