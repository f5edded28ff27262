"""In which order stages may run, whoever asks: a worker or the API."""

import pytest

from arqueduct.stage_order import MOST_STAGES, Place, faults

PIPELINE = {
    "download": Place(),
    "extract": Place(needs=("download",)),
    "store": Place(needs=("extract",)),
    "redact": Place(before="store"),
    "weigh": Place(after="extract"),
    "simulate": Place(),
}
GUARDED = PIPELINE | {"redact": Place(before="store", optional=False)}


def wrong(*names: str) -> list[tuple[int | None, str]]:
    return list(faults(names, PIPELINE, "store"))


@pytest.mark.parametrize(
    "names",
    [
        ("download", "extract", "store"),
        ("download", "extract", "redact", "store"),
        ("redact", "download", "extract", "weigh", "store"),
        ("simulate", "download", "extract", "store"),
        ("download", "extract", "simulate", "redact", "weigh", "store"),
    ],
)
def test_an_order_in_which_everything_finds_what_it_needs_is_right(names: tuple[str, ...]) -> None:
    assert wrong(*names) == []


@pytest.mark.parametrize(
    ("names", "index", "said"),
    [
        (("extract", "download", "store"), 0, "extract takes up the work of download"),
        (("download", "store"), 1, "store takes up the work of extract"),
        (("download", "extract", "store", "redact"), 3, "redact must run before store"),
        (("download", "extract", "store", "simulate"), 3, "store ends the job"),
        (("weigh", "download", "extract", "store"), 0, "weigh must run after extract"),
        (("download", "saw", "extract", "store"), 1, "No stage saw"),
        (("download", "download", "extract", "store"), 1, "download is named 2 times"),
        (("download", "extract"), 1, "it must be the last"),
        ((), None, "it must be the last"),
        (("simulate",) * (MOST_STAGES + 1), None, "At most 50"),
    ],
)
def test_what_is_wrong_is_said_where(names: tuple[str, ...], index: int | None, said: str) -> None:
    found = wrong(*names)
    assert any(place == index and said in fault for place, fault in found), found


def test_what_is_not_optional_cannot_be_left_out() -> None:
    assert list(faults(["download", "extract", "redact", "store"], GUARDED, "store")) == []
    (fault,) = faults(["download", "extract", "store"], GUARDED, "store")
    assert fault == (None, "The stage redact cannot be left out of this pipeline.")
