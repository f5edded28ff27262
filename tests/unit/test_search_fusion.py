from uuid import UUID

import pytest

from arqueduct.search import START, STOP, fuse, mark

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def test_what_both_rankings_find_comes_first() -> None:
    fused = fuse({"vector": [A, B], "text": [B, C]})
    assert [found for found, _, _ in fused] == [B, A, C]
    assert fused[0][2] == {"vector": 2, "text": 1}
    assert fused[0][1] == pytest.approx(1 / 62 + 1 / 61)


def test_one_ranking_keeps_its_order() -> None:
    assert [found for found, _, _ in fuse({"text": [C, A, B]})] == [C, A, B]


def test_equal_scores_have_a_stable_order() -> None:
    assert [found for found, _, _ in fuse({"vector": [B], "text": [A]})] == [A, B]


def test_nothing_found_is_no_hit() -> None:
    assert fuse({"vector": [], "text": []}) == []


def test_a_highlight_is_safe_html() -> None:
    marked = mark(f"<b>{START}found{STOP}</b> & more", "<b>found</b> &  more")
    assert marked == "&lt;b&gt;<mark>found</mark>&lt;/b&gt; &amp; more"


def test_a_highlight_says_where_the_passage_goes_on() -> None:
    text = "It rains.\nThe moat is full. Nobody swims."
    assert mark(f"The {START}moat{STOP} is full.", text) == "… The <mark>moat</mark> is full. …"
    assert mark("It rains. The moat", text) == "It rains. The moat …"
