import math
from pathlib import Path

import pytest

from arqueduct.cli.search_bench import collection
from arqueduct.cli.search_bench.measures import ndcg, quality_of, recall
from arqueduct.errors import SetupError

GRADES = {"a": 2, "b": 1, "c": 0}


def test_the_best_order_scores_one() -> None:
    assert ndcg(["a", "b", "x"], GRADES, 10) == 1


def test_what_comes_later_counts_less() -> None:
    best = 2 + 1 / math.log2(3)
    assert ndcg(["b", "a"], GRADES, 10) == pytest.approx((1 + 2 / math.log2(3)) / best)
    assert ndcg(["x", "c", "a"], GRADES, 10) == pytest.approx((2 / math.log2(4)) / best)
    assert ndcg(["x", "a"], GRADES, 1) == 0


def test_the_best_order_ends_at_the_depth() -> None:
    assert ndcg(["a"], {"a": 1, "b": 1}, 1) == 1


def test_recall_is_the_share_of_what_is_relevant() -> None:
    assert recall(["a", "x", "b"], GRADES, 2) == 0.5
    assert recall(["c"], GRADES, 10) == 0


def test_a_query_that_found_nothing_counts_and_one_without_judgements_does_not() -> None:
    quality = quality_of({"1": ["a"]}, {"1": {"a": 1}, "2": {"b": 1}, "3": {"c": 0}})
    assert (quality.ndcg_10, quality.recall_10, quality.recall_100) == (0.5, 0.5, 0.5)


def write(folder: Path, corpus: str, queries: str, judged: str) -> Path:
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text(queries)
    (folder / "qrels" / "test.tsv").write_text(judged)
    return folder


CORPUS = '{"_id": "a", "title": "Arch", "text": "A curve."}\n\n{"_id": 7, "text": "No title."}\n'
QUERIES = '{"_id": "1", "text": "curve"}\n{"_id": "2", "text": "of the training set"}\n'
JUDGED = "query-id\tcorpus-id\tscore\n1\ta\t2\n1\t7\t0\n"


def test_a_collection_has_the_queries_that_are_judged(tmp_path: Path) -> None:
    found = collection.read(write(tmp_path, CORPUS, QUERIES, JUDGED))
    assert [tuple(text) for text in found.documents] == [("a", "Arch", "A curve."), ("7", "", "No title.")]
    assert found.queries == {"1": "curve"}
    assert found.judgements == {"1": {"a": 2, "7": 0}}


@pytest.mark.parametrize(
    ("corpus", "judged", "said"),
    [
        ("[1]\n", JUDGED, "Line 1 of .*corpus.jsonl is not a JSON object"),
        ('{"_id": "a"}\n', JUDGED, "lacks `_id` or `text`"),
        (CORPUS, "query-id\tcorpus-id\tscore\n1 a 2\n", r"test\.tsv cannot be read"),
        (CORPUS, "query-id\tcorpus-id\tscore\n", "no query with a relevant document"),
    ],
)
def test_another_layout_is_refused_with_the_line(tmp_path: Path, corpus: str, judged: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        collection.read(write(tmp_path, corpus, QUERIES, judged))


def test_a_folder_without_a_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"corpus\.jsonl cannot be read") as error:
        collection.read(tmp_path)
    assert "qrels/test.tsv" in (error.value.advice or "")
