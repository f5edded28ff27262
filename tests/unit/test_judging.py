"""Which files a set takes: the first of its kind, whatever came to nothing before it."""

import pytest

from arqueduct.errors import ArqueductError, EmptyUpload, TooManyFiles
from arqueduct.repositories.file_sets import Taken
from arqueduct_backend.judging import Candidate, check_room, judged


def file(path: str, sha256: str, error: ArqueductError | None = None) -> Candidate:
    return Candidate(name=path.rpartition("/")[2], path=path, sha256=sha256, error=error)


def codes(candidates: list[Candidate]) -> list[str | None]:
    return [candidate.error and candidate.error.code for candidate in candidates]


def test_of_the_same_bytes_the_first_is_taken() -> None:
    found = judged([file("a", "1"), file("b", "1"), file("c", "2")], Taken())
    assert codes(found) == [None, "duplicate_file", None]


def test_of_the_same_path_the_first_is_taken() -> None:
    assert codes(judged([file("x/a", "1"), file("x/a", "2"), file("y/a", "3")], Taken())) == [None, "path_taken", None]


def test_what_is_in_the_set_comes_first() -> None:
    taken = Taken(files=2, paths=frozenset({"a"}), hashes=frozenset({"2"}))
    assert codes(judged([file("a", "1"), file("b", "2"), file("c", "3")], taken)) == [
        "path_taken",
        "duplicate_file",
        None,
    ]


def test_a_refused_file_stands_in_nobodys_way() -> None:
    found = judged([file("a", "1", EmptyUpload()), file("a", "1")], Taken())
    assert codes(found) == ["empty_upload", None]
    taken = Taken(files=1, paths=frozenset({"a"}))
    assert codes(judged([file("a", "1"), file("b", "1")], taken)) == ["path_taken", None]


def test_judging_twice_changes_nothing() -> None:
    once = judged([file("a", "1"), file("b", "1"), file("a", "2")], Taken())
    assert codes(judged(once, Taken())) == codes(once)


def test_only_accepted_files_need_room() -> None:
    candidates = judged([file("a", "1"), file("b", "1"), file("c", "3")], Taken())
    check_room(candidates, Taken(files=8), most=10)
    with pytest.raises(TooManyFiles, match="this one has 9, and 2 more came"):
        check_room(candidates, Taken(files=9), most=10)
