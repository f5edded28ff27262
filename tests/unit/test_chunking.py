from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arqueduct.artifacts import SEPARATOR, Chunk, Page
from arqueduct_worker.parsing import chunking
from arqueduct_worker.parsing.chunking import chunks

WORDS = st.text(st.sampled_from("ab Ω漢。.\n\t #`-\u3000🙂"), max_size=400)
LONG = st.builds(
    lambda piece, times: piece * times, st.text(st.sampled_from("x 語\n#"), max_size=5), st.integers(0, 600)
)


def paged(*texts: str) -> list[Page]:
    return [Page(number=number, text=text) for number, text in enumerate(texts, start=1)]


def page_of(pages: list[Page], offset: int) -> int:
    end = 0
    for page in pages:
        end += len(page.text) + len(SEPARATOR)
        if offset < end:
            return page.number
    raise AssertionError(offset)


def cut(*texts: str, size: int = 100, overlap: int = 20, markdown: bool = True) -> list[Chunk]:
    return list(chunks(paged(*texts), size, overlap, markdown=markdown))


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS | LONG, max_size=6), st.integers(20, 300), st.integers(0, 300), st.booleans())
def test_passages_are_slices_that_cover_the_document(texts: list[str], size: int, overlap: int, markdown: bool) -> None:
    pages = paged(*texts)
    document = SEPARATOR.join(texts)
    found = list(chunks(pages, size, overlap, markdown=markdown))
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))
    seen: set[int] = set()
    for chunk in found:
        assert chunk.text == document[chunk.start : chunk.end] == chunk.text.strip()
        assert 0 < len(chunk.text) <= size
        assert chunk.first_page == page_of(pages, chunk.start)
        assert chunk.last_page == page_of(pages, chunk.end - 1)
        seen.update(range(chunk.start, chunk.end))
    assert all(offset in seen or char.isspace() for offset, char in enumerate(document))
    assert all(one.end < other.end and one.start < other.end for one, other in pairwise(found))


def test_windows_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "WINDOW_CHARS", 500)
    pages = paged(*(f"Page {number}. " + "Words of some length stand here. " * 20 for number in range(50)))
    document = SEPARATOR.join(page.text for page in pages)
    found = list(chunks(pages, 100, 20))
    seen = {offset for chunk in found for offset in range(chunk.start, chunk.end)}
    assert all(offset in seen or char.isspace() for offset, char in enumerate(document))
    assert all(chunk.text == document[chunk.start : chunk.end] for chunk in found)


def test_the_overlap_begins_at_a_word() -> None:
    first, second, *_ = cut("one two three four five six seven eight nine ten " * 6, overlap=15)
    assert second.start < first.end <= second.start + 15
    assert second.text.split()[0] in {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}


def test_a_passage_carries_the_heading_above_it() -> None:
    found = cut("intro\n\n# One\n\n" + "text " * 30 + "\n\n## Two ##\n\n" + "more " * 30)
    assert [chunk.heading for chunk in found] == [None, "One", "One", "Two", "Two"]
    assert [chunk.ordinal for chunk in found if chunk.text.startswith("#")] == [1, 3]


def test_a_heading_never_stands_alone_above_its_text() -> None:
    assert all("word" in chunk.text for chunk in cut("# Part\n\n## Chapter\n\n" + "word " * 100))


def test_comments_in_code_are_no_headings() -> None:
    found = cut("# Real\n\n```sh\n# a comment\n" + "echo hello\n" * 20 + "```\n\n" + "after " * 30)
    assert {chunk.heading for chunk in found} == {"Real"}


def test_hashes_in_plain_text_are_no_headings() -> None:
    assert {chunk.heading for chunk in cut("# include\n" * 40, markdown=False)} == {None}


def test_the_outline_of_a_pdf_gives_headings_by_page() -> None:
    pages = [Page(number=1, text="word " * 30, heading="One"), Page(number=2, text="word " * 30, heading="Two")]
    found = list(chunks(pages, 100, 0, markdown=False))
    assert [(chunk.first_page, chunk.heading) for chunk in found] == [(1, "One"), (1, "One"), (2, "Two"), (2, "Two")]


def test_a_passage_may_span_pages() -> None:
    (only,) = cut("end of one", "", "start of three")
    assert (only.first_page, only.last_page, only.tokens) == (1, 3, 7)


def test_blank_text_gives_no_passage() -> None:
    assert cut(" \n", "\t") == []


def test_a_word_of_millions_is_cut_quickly() -> None:
    found = cut("x" * 5_000_000, size=1000, overlap=0)
    assert len(found) == 5000


def test_chinese_is_cut_at_sentences() -> None:
    found = cut("人人生而自由，在尊严和权利上一律平等。" * 40, overlap=0)
    assert all(chunk.text.endswith(("。", "，")) for chunk in found)
