"""How long nobody was there."""

import math
from pathlib import Path

import pytest

from tests.chaos.attendance import Span, spans_of, unattended
from tests.chaos.site import Life, Member


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 10),
        ([(0, math.inf)], 0),
        ([(12, 15)], 7),
        ([(14, 18), (5, 13)], 3),
        ([(12, 16), (13, 14), (30, 40)], 6),
        ([(0, 9)], 10),
    ],
    ids=["none", "always", "one", "two", "overlapping", "before"],
)
def test_what_no_span_covers_is_unattended(spans: list[Span], seconds: float) -> None:
    assert unattended(spans, 10, 20) == seconds


def test_a_worker_is_there_from_its_start_to_its_end_but_not_while_it_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text('{"event": "worker started", "timestamp": "1970-01-01T00:00:03Z"}\n')
    lives = [Life(pid=1, began=1, ended=9, asleep=[(4, 6), (8, math.inf)]), Life(pid=2, began=10)]
    worker = Member(name="worker", command="worker", environment={}, log=log, lives=lives)
    assert spans_of([worker]) == [(3, 4), (6, 8)]
