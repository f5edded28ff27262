import io
import re

from rich.console import Console

from arqueduct.cli.bars import FEW, Bars
from arqueduct.cli.feed import Progress
from arqueduct.cli.uploads import Item, Summary
from arqueduct.errors import UnsupportedFormat
from arqueduct.lifecycle import JobState


def _progress(state: JobState, share: float, **fields: object) -> Progress:
    told = {"job_id": "1", "state": state, "stage": "embedding", "progress": share, "seq": 1, **fields}
    return Progress(**told)  # type: ignore[arg-type]  # a table of fields


def _summary(documents: int, failed: int = 0) -> Summary:
    return Summary(
        documents=documents, completed=documents - failed, failed=failed, cancelled=0, refused=0, queued=0, seconds=1.0
    )


def _screen(width: int) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False), file


def _run(items: list[Item], states: list[JobState], width: int = 110) -> str:
    console, file = _screen(width)
    bars = Bars(console)
    bars.begin(items)
    for item in items:
        bars.uploading(item)
        bars.accepted(item)
        counted = {"done": 3, "total": 12, "unit": "chunks"}
        item.progress = _progress(JobState.RUNNING, 0.5, details=counted, eta_seconds=7)
        bars.moved(item)
    bars._live.refresh()
    for item, state in zip(items, states, strict=True):
        error = {"message": "It is damaged.", "advice": "Save it anew."} if state == JobState.FAILED else None
        item.progress = _progress(state, 1.0, error=error)
        item.ended = item.began + 1
        bars.ended(item)
    bars.finish(_summary(len(items), states.count(JobState.FAILED)))
    return file.getvalue()


def test_few_documents_keep_their_bars() -> None:
    shown = _run([Item(name="a.pdf"), Item(name="b.md")], [JobState.COMPLETED, JobState.FAILED])
    assert "3 of 12 chunks" in shown
    assert "7 s left" in shown
    assert "✓ completed in 1.0 s" in shown
    assert "b.md: failed: It is damaged. Save it anew." in shown
    assert shown.rstrip().endswith("2 documents: 1 completed, 1 failed, 1.0 s")


def test_of_many_documents_those_that_move_are_shown_and_one_bar_for_all() -> None:
    many = [Item(name=f"{number}.txt") for number in range(FEW * 3)]
    shown = _run(many, [JobState.COMPLETED] * len(many))
    assert f"{len(many)} of {len(many)}" in shown
    assert "0.txt" in shown
    assert f"{FEW * 2}.txt" not in shown


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    shown = _run([Item(name="a-very-long-name-of-a-document-of-the-second-quarter.pdf")], [JobState.COMPLETED])
    assert "a-very-long-name-of-a-d…" in shown
    assert "uarter.pdf" in shown


def test_eighty_columns_hold_how_it_ended() -> None:
    item = Item(name="annual-report-of-the-second-quarter.pdf", document={"pages": 36, "chunks": 120})
    shown = _run([item], [JobState.COMPLETED], width=80)
    assert "✓ completed in 1.0 s, 36 pages, 120 passages" in shown
    assert "annual-report-…" in shown


def test_what_went_wrong_is_broken_between_words() -> None:
    failed = Item(name="b.md")
    failed.error = UnsupportedFormat("word " * 40)
    console, file = _screen(80)
    bars = Bars(console)
    bars.begin([failed])
    failed.ended = failed.began + 1
    bars.refused(failed)
    bars.finish(_summary(1, 1))
    lines = [re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]|\r", "", line).rstrip() for line in file.getvalue().splitlines()]
    assert any(line.startswith("b.md: not accepted: word") and line.endswith("word") for line in lines)
    assert all(len(line) <= 80 for line in lines if "word" in line)
    assert "0 %" not in file.getvalue()  # nothing of a refused file is on its way
    assert "✗ not accepted" in file.getvalue()
