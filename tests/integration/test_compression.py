"""Zstandard files: there and back, damaged, and larger than they may be."""

import os
from pathlib import Path

import pytest
import zstandard

from arqueduct.compression import compress, decompress
from arqueduct.errors import ContentMismatch, DocumentTooLong

LINES = b'{"number":1,"text":"a page like many others"}\n' * 100_000


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("content", [b"", LINES, os.urandom(3 * 2**20)], ids=["empty", "lines", "noise"])
def test_there_and_back(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plain").write_bytes(content)
    compress(tmp_path / "plain", tmp_path / "packed")
    decompress(tmp_path / "packed", tmp_path / "back", max_bytes=len(content))
    assert (tmp_path / "back").read_bytes() == content
    assert names(tmp_path) == {"back", "packed", "plain"}


def test_lines_of_text_shrink(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(LINES)
    compress(tmp_path / "plain", tmp_path / "packed")
    assert (tmp_path / "packed").stat().st_size < len(LINES) / 100


def test_more_than_the_bound_is_refused_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(LINES)
    compress(tmp_path / "plain", tmp_path / "packed")
    with pytest.raises(DocumentTooLong, match="4,600,000 bytes"):
        decompress(tmp_path / "packed", tmp_path / "back", max_bytes=len(LINES) - 1)
    assert names(tmp_path) == {"packed", "plain"}


def cut(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


def flipped(packed: bytes) -> bytes:
    return packed[:-1] + bytes([packed[-1] ^ 1])


def boastful(_: bytes) -> bytes:
    """A frame that does not say how much it holds, as other programs write them."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(LINES)


@pytest.mark.parametrize("damage", [cut, flipped, boastful, lambda packed: b"", lambda packed: b"no zstandard at all"])
def test_damage_is_noticed(tmp_path: Path, damage) -> None:
    (tmp_path / "plain").write_bytes(os.urandom(2**20))
    compress(tmp_path / "plain", tmp_path / "packed")
    (tmp_path / "packed").write_bytes(damage((tmp_path / "packed").read_bytes()))
    with pytest.raises(ContentMismatch):
        decompress(tmp_path / "packed", tmp_path / "back", max_bytes=2**30)
    assert names(tmp_path) == {"packed", "plain"}
