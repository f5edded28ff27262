"""What an API process asks of the machine before it serves."""

import gc
import resource
from collections.abc import Iterator

import pytest

from arqueduct_backend import main

SOFT = 700


@pytest.fixture
def files() -> Iterator[int]:
    """Few may be open, as in many shells; the most that may be allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_as_many_files_may_be_open_as_there_may_be_sockets(files: int) -> None:
    main._allow_files(SOFT + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (SOFT + 1, files)
    main._allow_files(10)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (SOFT + 1, files)


def test_more_files_than_the_machine_allows_are_not_asked_for(files: int) -> None:
    if files == resource.RLIM_INFINITY:
        pytest.skip("no limit here")
    main._allow_files(files + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (files, files)


def test_what_is_there_for_good_is_left_out_of_collections() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        main._collect_seldom()
        assert gc.get_threshold() == (*before[:2], main.LONG_LIVED)
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
