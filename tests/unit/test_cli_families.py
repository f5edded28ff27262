"""How projects and batches show, without a server."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from arqueduct.cli import family
from arqueduct.cli.error_table import print_failures
from arqueduct.cli.family import BATCH, PROJECT
from arqueduct.cli.family_bars import CUT_OFF, MOST_FAILURES, FamilyBars
from arqueduct.cli.family_status import print_families, print_status
from arqueduct.cli.family_views import FamilyJson, FamilyLines, ended
from arqueduct.cli.family_watch import MOST_CURRENT, Failed, Watched
from arqueduct.cli.feed import Progress
from arqueduct.cli.output import SafeConsole
from arqueduct.cli.words import percent, size
from arqueduct.lifecycle import JobState
from tests.unit.test_cli_tables import screen, shown

PARENT = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"
NONE = dict.fromkeys(("queued", "running", "paused", "completed", "failed", "cancelled"), 0)
ERROR = {"code": "document_corrupt", "message": "It is damaged.", "advice": "Save it anew.", "stage": "extracting"}


def counts(**more: int) -> dict[str, int]:
    found = NONE | more
    return {"total": sum(found.values()), **found}


def child(number: int, state: str = "completed", **more: Any) -> dict[str, Any]:
    known = {"job_id": f"{PARENT[:-2]}{number:02}", "kind": "document.ingest", "name": f"{number}.pdf", "attempt": 1}
    rest = {"stage": state, "progress": 1.0, "pages": 3, "chunks": 12, "took_seconds": 4.0, "error": None}
    return {**known, **rest, "path": f"a/{number}.pdf", "state": state, **more}


def status(state: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "id": PARENT,
        "job_id": PARENT,
        "name": "Rivers",
        "state": state,
        "progress": 0.629,
        "counts": counts(completed=11, failed=1, running=3, queued=1200),
        "bytes_done": 3_500_000,
        "bytes_total": 1_234_567_890,
        "pages_done": 120,
        "chunks_done": 1,
        "throughput": {
            "elapsed_seconds": 130.4,
            "documents_per_hour": 340.4,
            "pages_per_hour": 3400,
            "bytes_per_second": 812.3,
        },
        "eta": {"seconds": 80, "low": 50, "high": 130},
        "errors": {"document_corrupt": 1},
        "cost": {"tokens": 12_000, "embedding_requests": 1, "cache_hits": 12},
        "slowest": [child(1)],
        "failed": [child(2, "failed", error=ERROR)],
        "error": None,
        "created_at": "2026-11-30T12:00:00Z",
        "finished_at": "2026-11-30T12:02:10Z",
        **more,
    }


def moved(seq: int, share: float = 0.5, state: JobState = JobState.RUNNING, **details: Any) -> Progress:
    told = {**counts(completed=1, running=2, queued=3), "current": [], **details}
    return Progress(job_id=PARENT, state=state, stage="processing", progress=share, seq=seq, details=told)


def of_child(number: int, state: JobState, share: float = 0.4, **more: Any) -> Progress:
    return Progress(
        job_id=f"child {number}",
        parent_id=PARENT,
        document_id=f"document {number}",
        document_name=f"{number}.pdf",
        state=state,
        stage="embedding",
        progress=share,
        seq=1,
        **more,
    )


class Notes:
    """A view that keeps what it was told."""

    def __init__(self) -> None:
        self.current: list[str] = []
        self.failures: list[Failed] = []

    def begin(self, found: dict[str, Any]) -> None: ...
    def listening(self, is_live: Callable[[], bool]) -> None: ...

    def moved(self, parent: Progress) -> None:
        self.current = [one["document_name"] for one in parent.details["current"]]

    def failed(self, child: Failed) -> None:
        self.failures.append(child)

    def finish(self, found: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def plain(console: SafeConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", console.file.getvalue()).replace("\r", "\n")


def test_what_goes_on_again_has_no_time_yet() -> None:
    again = status("running", finished_at=None)
    said = ended(again, PROJECT).plain
    assert said == "Rivers had ended, and is running again: " + family.children(again["counts"], "file") + "."


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (0.29, "29 %"), (0.629, "62 %"), (0.9999, "99 %"), (1, "100 %")]
)
def test_only_the_whole_is_a_hundred_percent(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(("bytes", "said"), [(812, "812 B"), (34_918, "34.1 kB"), (1_263_009_792, "1,204.5 MB")])
def test_sizes_are_told_in_the_unit_that_fits(bytes: int, said: str) -> None:
    assert size(bytes) == said


def test_children_are_counted_in_words() -> None:
    said = family.children(counts(completed=11, failed=1, cancelled=2, running=3, queued=1200, paused=4), "file")
    assert said == "11 of 1,221 files completed, 1 failed, 2 cancelled, 3 running, 1,200 waiting, 4 paused"
    assert family.children(counts(completed=1), "document") == "1 of 1 document completed"


def test_time_left_has_a_range_or_is_not_told() -> None:
    assert family.left({"seconds": 80, "low": 50, "high": 130}) == "about 1 min 20 s (50 s to 2 min 10 s)"
    assert family.left({"seconds": 2, "low": 0, "high": 3}) == "about 2 s (up to 3 s)"
    assert family.left(None) == ""


def test_eighty_columns_hold_a_status() -> None:
    print_status(status(), PROJECT, [child(3, "running", stage="embedding", progress=0.4)], console := screen(80))
    lines = shown(console)
    assert all(len(line) <= 80 for line in lines)
    page = " ".join(" ".join(lines).split())
    for said in (
        f"project {PARENT}",
        "state running, 62 %",
        "11 of 1,215 files completed, 1 failed, 3 running, 1,200 waiting",
        "3.3 MB of 1,177.4 MB, 120 pages, 1 passage",
        "340 files/h, 3,400 pages/h, 812 B/s over 2 min 10 s",
        "left about 1 min 20 s (50 s to 2 min 10 s)",
        "12,000 tokens, 1 embedding request, 12 vectors from the cache",
        "a/2.pdf extracting document_corrupt 1 It is damaged. Save it anew.",
        "a/1.pdf 4.0 s 3 pages, 12 passages",
        "Files a/3.pdf 40 % embedding",
    ):
        assert said in page, page


def test_of_many_failures_the_page_says_that_there_are_more() -> None:
    print_status(status(counts=counts(failed=70)), BATCH, (), console := screen(80))
    assert "Failed, the first 1 of 70" in shown(console)


def test_no_pace_is_told_of_no_time() -> None:
    quick = status()["throughput"] | {"elapsed_seconds": 0.001}
    assert family.pace(quick, "file") == family.pace(None, "file") == ""


def test_time_left_may_be_unknown() -> None:
    print_status(status(eta=None, throughput=None), BATCH, (), console := screen(80))
    assert any(line.split() == ["left", "unknown"] for line in shown(console))
    for state in ("completed", "paused"):
        print_status(status(state, eta=None), BATCH, (), console := screen(80))
        assert not any(line.startswith("left") for line in shown(console))


def test_a_name_stands_below_where_it_is_narrow() -> None:
    one = {"id": PARENT, "state": "partially_completed", "progress": 1, "created_at": "2020-01-01T00:00:00Z"}
    print_families([{**one, "files": 9000, "name": "Rivers"}], PROJECT, console := screen(80))
    head, first, below = shown(console)
    assert head.split() == ["Project", "State", "%", "Files", "Age"]
    assert first.split()[1:5] == ["partially", "completed", "100", "9,000"]
    assert below == "  Rivers"
    print_families([{**one, "documents": 1, "name": None}], BATCH, console := screen(120))
    assert len(shown(console)) == 2


def test_in_a_pipe_a_failure_is_a_line_with_its_job() -> None:
    failure = {**child(1, "failed"), **ERROR, "attempts": 2}
    print_failures([failure], console := screen(80, is_terminal=False))
    _, line = shown(console)
    assert failure["job_id"] in line
    assert line.endswith("It is damaged. Save it anew.")


def test_names_do_not_steer_the_terminal() -> None:
    evil = "evil\x1b[31mred\nline"
    print_status(status(name=evil, failed=[child(2, "failed", path=evil, error=ERROR)]), PROJECT, (), c := screen(80))
    bars = FamilyBars(PROJECT, c, ended)
    bars.begin(status(name=evil))
    bars.moved(moved(1, current=[{"document_name": evil, "stage": "embedding", "progress": 0.2}]))
    bars.failed(Failed(name=evil, job_id="1", error={"message": evil}))
    bars.finish(status("failed", name=evil))
    assert "\x1b[31m" not in "\n".join(shown(c))


def test_children_that_run_are_known_before_the_parent_tells() -> None:
    watched = Watched(PARENT, view := Notes())
    watched.hear(moved(1))
    for number in range(MOST_CURRENT + 2):
        watched.hear(of_child(number, JobState.RUNNING))
    assert view.current == [f"{number}.pdf" for number in range(MOST_CURRENT)]
    watched.hear(of_child(0, JobState.COMPLETED))
    assert "0.pdf" not in view.current
    watched.hear(moved(2, current=[{"document_id": "d", "document_name": "other.pdf"}]))
    assert view.current == ["other.pdf"]
    watched.hear(moved(3, 1.0, JobState.COMPLETED))
    assert view.current == []


def test_jobs_of_others_are_nothing_to_us() -> None:
    watched = Watched(PARENT, view := Notes())
    watched.hear(moved(1))
    watched.hear(Progress(job_id="x", state=JobState.FAILED, stage="failed", progress=0, seq=1, error=ERROR))
    assert view.failures == []


def test_a_failure_is_told_once_until_it_is_tried_again() -> None:
    watched = Watched(PARENT, view := Notes())
    failure = of_child(1, JobState.FAILED, error=ERROR)
    watched.hear(failure)
    watched.hear(failure)
    watched.fail(Failed(name="1.pdf", job_id="child 1", error=ERROR))
    assert [one.said for one in view.failures] == ["failed: It is damaged. Save it anew."]
    watched.hear(of_child(1, JobState.QUEUED))
    watched.hear(failure)
    assert len(view.failures) == 2


def test_eighty_columns_hold_the_bars() -> None:
    bars = FamilyBars(PROJECT, console := screen(80), ended)
    bars.begin(status())
    parent = moved(1, current=[{"document_name": f"{'long' * 20}.pdf", "stage": "embedding", "progress": 0.41}])
    bars.moved(Progress(**{name: getattr(parent, name) for name in parent.__struct_fields__} | LATE))
    bars._live.refresh()
    for _ in range(MOST_FAILURES + 5):
        bars.failed(Failed(name="2.pdf", job_id="2", error=ERROR))
    bars.finish(status("partially_completed", counts=counts(completed=5, failed=1)))
    bars.close()
    page = plain(console)
    assert "12 min 40 s to 1 h 05 min left" in page
    assert "41 % embedding" in page
    assert page.count("2.pdf: failed: It is damaged. Save it anew.") == MOST_FAILURES
    assert "Rivers is partially completed: 5 of 6 files completed, 1 failed, 2 min 10 s." in " ".join(page.split())
    assert f"Why: arqueduct projects errors {PARENT}" in page
    assert all(len(line) <= 80 for line in page.splitlines())


def test_a_lost_connection_is_said_while_it_is_lost() -> None:
    bars, is_live = FamilyBars(PROJECT, console := screen(80), ended), False
    bars.begin(status())
    bars.listening(lambda: is_live)
    bars._live.refresh()
    assert plain(console).count(CUT_OFF) == 1
    is_live = True
    bars._live.refresh()
    bars.finish(status("completed"))
    assert plain(console).count(CUT_OFF) == 1


LATE = {"eta_seconds": 2000, "eta_range": [760, 3900]}


def test_a_log_has_a_line_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = FamilyLines(PROJECT, quiet=False)
    lines.begin(status(progress=0.05))
    for seq, share in enumerate((0.06, 0.11, 0.12, 0.35, 0.34)):
        lines.moved(moved(seq, share))
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["Rivers: 11 %", "Rivers: 35 %"]


def test_programs_hear_of_each_state_of_the_parent_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = FamilyJson()
    for seq in (1, 1, 2, 2):
        view.moved(moved(seq))
    assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
