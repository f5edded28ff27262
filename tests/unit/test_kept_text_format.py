"""The text of a document is read out of its compressed pages, whatever is in it and wherever a piece ends."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arqueduct import kept_text
from arqueduct.artifacts import SEPARATOR, Page, writing
from arqueduct.errors import ContentMismatch

TEXTS = st.lists(
    st.text(st.sampled_from('a"\\/\n\té漢😀\u2028\x1f\x7f{}:,') | st.characters(exclude_categories=["Cs"]))
)
CURSED = '"text":"'


def packed(folder: Path, texts: Sequence[str]) -> Path:
    with writing(folder / "pages") as write:
        for number, text in enumerate(texts, 1):
            write(Page(number=number, text=text, heading=CURSED))
    kept_text.join({"title": CURSED}, folder / "pages", folder / "whole")
    target = folder / "text.zst"
    target.write_bytes(zstandard.ZstdCompressor().compress((folder / "whole").read_bytes()))
    return target


@pytest.mark.parametrize("piece", [1, 2, 7, 4096])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_pages_come_out_joined(tmp_path: Path, piece: int, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_text, "PIECE", piece)
        found = b"".join(kept_text.text_pieces(packed(tmp_path, [*texts, CURSED])))
    assert found.decode() == SEPARATOR.join([*texts, CURSED])


def test_a_page_of_megabytes_comes_in_pieces(tmp_path: Path) -> None:
    text = 'Größe "quoted"\n' * 200_000
    pieces = list(kept_text.text_pieces(packed(tmp_path, [text])))
    assert b"".join(pieces).decode() == text
    assert max(map(len, pieces)) <= kept_text.PIECE


def test_facts_and_pages_come_apart_again(tmp_path: Path) -> None:
    packed(tmp_path, ["one", "two"])
    assert kept_text.split(tmp_path / "whole", tmp_path / "again") == {"title": CURSED}
    assert (tmp_path / "again").read_bytes() == (tmp_path / "pages").read_bytes()


def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path) -> None:
    whole = packed(tmp_path, [msgspec.json.encode(list(range(10_000))).decode()])
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(ContentMismatch):
        list(kept_text.text_pieces(whole))
