import pytest

from arqueduct.cli.feed import Progress
from arqueduct.cli.uploads import Item, Summary
from arqueduct.cli.words import age, counted, duration, how_it_ended, summary_of
from arqueduct.errors import UploadTooLarge
from arqueduct.lifecycle import JobState


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.84, "0.8 s"), (3, "3 s"), (42.4, "42 s"), (200, "3 min 20 s"), (3599.0, "59 min 59 s"), (7500, "2 h 05 min")],
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("seconds", "said"), [(-1, "0 s"), (12, "12 s"), (1275, "21 min"), (9e3, "2 h"), (3e5, "3 d")])
def test_ages_are_short(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_one_is_not_many() -> None:
    assert [counted(number, "page") for number in (0, 1, 1200)] == ["0 pages", "1 page", "1,200 pages"]


def _item(state: JobState, error: dict[str, str] | None = None) -> Item:
    told = Progress(job_id="1", state=state, stage=state, progress=1, seq=9, error=error)
    return Item(name="a.pdf", progress=told, began=0.0, ended=4.2, document={"pages": 38, "chunks": 125})


def test_an_end_says_what_was_found_or_why_not() -> None:
    assert how_it_ended(_item(JobState.COMPLETED)) == (True, "completed in 4.2 s, 38 pages, 125 passages")
    error = {"message": "The file is encrypted.", "advice": "Remove the password."}
    assert how_it_ended(_item(JobState.FAILED, error)) == (
        False,
        "failed: The file is encrypted. Remove the password.",
    )
    good, said = how_it_ended(Item(name="b", error=UploadTooLarge()))
    assert not good
    assert said.startswith("not accepted: ")


def test_the_summary_names_only_what_happened() -> None:
    summary = Summary(documents=4, completed=3, failed=0, cancelled=0, refused=1, queued=0, seconds=9.7)
    assert summary_of(summary) == "4 documents: 3 completed, 1 not accepted, 9.7 s"
    assert not summary.is_good
