from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arqueduct.pipeline import registry
from arqueduct.progress import Span, overall, spans


@dataclass(frozen=True)
class Part:
    name: str
    weight: float


def test_the_stages_of_ingest_fill_the_published_shares() -> None:
    found = spans(registry().stages("document.ingest", without=frozenset({"redact"})))
    assert {name: (span.start, span.end) for name, span in found.items()} == {
        "download": (0.0, 0.15),
        "extract": (0.15, 0.35),
        "chunk": (0.35, 0.40),
        "embed": (0.40, 0.85),
        "store": (0.85, 1.0),
    }


def test_stages_without_weights_share_equally() -> None:
    assert spans([Part("a", 0), Part("b", 0)]) == {"a": Span(start=0, end=0.5), "b": Span(start=0.5, end=1)}


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8))
def test_spans_lie_end_to_end_from_zero_to_one(weights: list[float]) -> None:
    laid = list(spans([Part(str(index), weight) for index, weight in enumerate(weights)]).values())
    assert laid[0].start == 0
    assert laid[-1].end == pytest.approx(1, abs=1e-5)
    for left, right in pairwise(laid):
        assert left.end == right.start


@pytest.mark.parametrize(
    ("done", "total", "expected"), [(0, 4, 0.4), (2, 4, 0.625), (4, 4, 0.85), (9, 4, 0.85), (3, 0, 0.4)]
)
def test_progress_within_a_stage(done: int, total: int, expected: float) -> None:
    assert overall(Span(start=0.4, end=0.85), done, total) == pytest.approx(expected)
