import os
from pathlib import Path

import pytest

from arqueduct.cli.found_files import find_files
from arqueduct.errors import SetupError


@pytest.fixture
def notes() -> list[str]:
    return []


def test_folders_give_all_below_but_what_is_hidden(tmp_path: Path, notes: list[str]) -> None:
    for name in ("b.txt", "a.txt", ".hidden", "deep/er/c.md", ".git/config"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.mkfifo(tmp_path / "pipe")
    found = find_files([tmp_path], notes.append)
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.txt", "b.txt", "deep/er/c.md"]
    assert notes == []


def test_a_hidden_file_that_is_named_is_meant(tmp_path: Path, notes: list[str]) -> None:
    hidden = tmp_path / ".notes.txt"
    hidden.touch()
    assert find_files([hidden], notes.append) == [hidden]


def test_nothing_is_taken_twice(tmp_path: Path, notes: list[str]) -> None:
    (tmp_path / "a.txt").touch()
    assert len(find_files([tmp_path, tmp_path / "a.txt", tmp_path / "." / "a.txt"], notes.append)) == 1


def test_links_that_lead_out_of_a_folder_are_left_out_and_told(tmp_path: Path, notes: list[str]) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "secret.txt"
    folder.mkdir()
    outside.touch()
    (folder / "a.txt").touch()
    (folder / "away.txt").symlink_to(outside)
    (folder / "inside.txt").symlink_to("a.txt")
    assert [path.name for path in find_files([folder], notes.append)] == ["inside.txt"]  # one file, under two names
    assert notes == [f"Left out, as 1 link leads out of {folder}: {folder}/away.txt"]
    named = folder / "away.txt"
    assert find_files([named], notes.append) == [named]


def test_a_pipe_that_is_named_is_refused(tmp_path: Path, notes: list[str]) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        with pytest.raises(SetupError, match=rf"{path} is no regular file"):
            find_files([path], notes.append)


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path, notes: list[str]) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\xfe.txt"))
    odd.touch()
    assert find_files([tmp_path], notes.append) == [odd]
    assert notes == [f"Sent under another name, as 1 name is not UTF-8: {tmp_path}/bad\ufffd\ufffd.txt"]
