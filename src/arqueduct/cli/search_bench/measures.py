"""How good a ranking is, by the measures that BEIR prints."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from arqueduct.cli.search_bench.collection import Judgements

__all__ = ["Quality", "ndcg", "quality_of", "recall"]


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Means over all queries, 0 to 1."""

    ndcg_10: float
    recall_10: float
    recall_100: float


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), with the grade itself as gain, as
    trec_eval has it. 1: no order of the judged documents would be better.
    """
    gained = _discounted([grades.get(found, 0) for found in ranking[:depth]])
    best = _discounted(sorted(grades.values(), reverse=True)[:depth])
    return gained / best if best else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, int], depth: int) -> float:
    """The share of the relevant documents that are among the first `depth`."""
    relevant = {found for found, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


def quality_of(rankings: Mapping[str, Sequence[str]], judgements: Judgements) -> Quality:
    """Of document ids by query, best first. A query without a relevant document does not count."""
    judged = {query: grades for query, grades in judgements.items() if any(grades.values())}
    ranked = [(rankings.get(query, ()), grades) for query, grades in judged.items()]
    return Quality(
        ndcg_10=_mean([ndcg(ranking, grades, 10) for ranking, grades in ranked]),
        recall_10=_mean([recall(ranking, grades, 10) for ranking, grades in ranked]),
        recall_100=_mean([recall(ranking, grades, 100) for ranking, grades in ranked]),
    )


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
