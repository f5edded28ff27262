"""The benchmarks choose the same documents wherever they run, and make up what a folder lacks."""

from pathlib import Path

import pytest

from benchmarks.corpus import BIG_PAGES, PIECE_CHARS, Corpus, Scale, choose
from benchmarks.peers import PEERS, left_out
from benchmarks.sides import shared

EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"
SCALE = Scale(pdfs=5, least_pdfs=5, texts=30)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return choose(EXAMPLES, tmp_path_factory.mktemp("corpus"), SCALE)


def contents(corpus: Corpus) -> dict[str, list[bytes]]:
    return {name: [path.read_bytes() for path in paths] for name, paths in corpus.lists.items()}


def test_the_choice_is_the_same_each_time(corpus: Corpus, tmp_path: Path) -> None:
    assert contents(choose(EXAMPLES, tmp_path, SCALE)) == contents(corpus)


def test_names_of_files_have_no_part_in_the_choice(tmp_path: Path) -> None:
    renamed, made = tmp_path / "renamed", tmp_path / "made"
    for number, path in enumerate(sorted(EXAMPLES.glob("*.*"), reverse=True)):
        (renamed / str(number)).mkdir(parents=True)
        (renamed / str(number) / f"file{path.suffix}").write_bytes(path.read_bytes())
    few = Scale(pdfs=2, least_pdfs=2, texts=1)
    found, expected = choose(renamed, made / "a", few), choose(EXAMPLES, made / "b", few)
    assert [path.read_bytes() for path in found.lists["pdfs"]] == [path.read_bytes() for path in expected.lists["pdfs"]]


def test_real_pdfs_come_first_and_made_ones_fill_up(corpus: Corpus) -> None:
    pdfs = corpus.lists["pdfs"]
    assert [path.parent == EXAMPLES for path in pdfs] == [True, True, False, False, False]
    assert corpus.made_pdfs == 3
    assert len({path.read_bytes() for path in pdfs}) == 5


def test_texts_are_of_one_chunk_and_all_different(corpus: Corpus) -> None:
    texts = [path.read_text() for path in corpus.lists["texts"]]
    assert len(set(texts)) == 30
    assert all(len(text) <= PIECE_CHARS[1] for text in texts)
    assert all(len(shared.splitter().split_text(text)) == 1 for text in texts)


def test_the_big_pdf_has_the_pages_that_it_is_to_have(corpus: Corpus) -> None:
    (big,) = corpus.lists["big_pdf"]
    _, pages = shared.extract(str(big))
    assert pages == BIG_PAGES
    assert corpus.is_big_made


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DOCUMENTS="):
        choose(tmp_path, tmp_path, SCALE)


def test_peers_that_are_not_installed_are_named_with_what_to_do(tmp_path: Path) -> None:
    missing = left_out(PEERS.values(), tmp_path)
    assert sorted(missing) == ["celery", "langchain", "llamaindex"]
    assert all("make .venv-peers-" in reason for reason in missing.values())


def test_a_slow_peer_gets_the_smallest_documents_but_enough_to_be_busy(tmp_path: Path) -> None:
    documents = [tmp_path / f"{number:03}" for number in range(80)]
    for number, path in enumerate(documents):
        path.write_bytes(b"x" * (80 - number))
    naive = PEERS["naive_arq"]
    assert sorted(naive.given(documents)) == documents[-20:]
    assert len(naive.given(documents[:20])) == 16
    assert PEERS["bare_loop"].given(documents) == documents
