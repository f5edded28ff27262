import os
from pathlib import Path

from arqueduct.cli.uploads import find_files


def test_folders_give_all_below_but_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", ".hidden", "deep/er/c.md", ".git/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.mkfifo(tmp_path / "pipe")
    assert [str(path.relative_to(tmp_path)) for path in find_files([tmp_path])] == ["a.txt", "b.txt", "deep/er/c.md"]


def test_a_hidden_file_that_is_named_is_meant(tmp_path: Path) -> None:
    hidden = tmp_path / ".notes.txt"
    hidden.touch()
    assert find_files([hidden]) == [hidden]


def test_nothing_is_taken_twice(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    assert len(find_files([tmp_path, tmp_path / "a.txt", tmp_path / "." / "a.txt"])) == 1
