"""Credentials, runtime, the folder and who holds it."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arqueduct.errors import SetupError
from arqueduct.supervisor import records
from arqueduct.supervisor.announcements import Announcements
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.records import Runtime


def runtime(pid: int) -> Runtime:
    return Runtime(
        url="http://127.0.0.1:8000",
        database_url="postgresql://…",
        redis_url="redis://…",
        pids={"up": [pid]},
        metrics_urls=[],
        version="0",
        started_at=datetime.now(UTC),
    )


def test_a_record_is_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "runtime.json"
    written = runtime(1)
    records.write(path, written)
    records.write(path, written)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert records.read(path, Runtime) == written
    assert [file.name for file in tmp_path.iterdir()] == ["runtime.json"]


def test_a_record_that_is_not_there_is_none_and_a_damaged_one_an_error(tmp_path: Path) -> None:
    assert records.read(tmp_path / "none.json", Runtime) is None
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SetupError, match="cannot be used"):
        records.read(tmp_path / "bad.json", Runtime)


def test_only_what_holds_the_folder_runs_in_it(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path / "data")
    assert folder.running() is None
    lock = folder.hold()
    assert folder.running() is None
    records.write(folder.runtime, runtime(os.getpid()))
    assert folder.running() is not None
    with pytest.raises(SetupError, match=f"in use by process {os.getpid()}"):
        folder.hold()
    lock.release()
    assert folder.running() is None  # as after kill -9: the file stayed


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="a file is there, not a folder") as raised:
        DataFolder.at(tmp_path / "file" / "data").hold()
    assert "Choose another folder" in raised.value.advice


def test_leftovers_of_work_are_cleared(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path)
    folder.hold().release()
    (folder.temporary / "job").mkdir()
    (folder.temporary / "job" / "pages.jsonl").touch()
    (folder.temporary / "upload.part").touch()
    folder.empty_temporary()
    assert list(folder.temporary.iterdir()) == []


def test_workers_announce_where_their_metrics_are(tmp_path: Path) -> None:
    (tmp_path / "worker-11.json").write_text('{"pid": 11, "metrics_port": 9001}')
    (tmp_path / "worker-12.json").write_text('{"pid": 12, "metr')
    (tmp_path / "worker-10.json").write_text('{"pid": 10, "metrics_port": 9000}')
    known = Announcements(tmp_path)
    assert known.look([11, 12])
    assert known.urls == ["http://127.0.0.1:9001/metrics"]
    assert not (tmp_path / "worker-10.json").exists()
    (tmp_path / "worker-12.json").write_text('{"pid": 12, "metrics_port": 9002}')
    assert known.look([11, 12])
    assert not known.look([11, 12])
    assert known.urls == ["http://127.0.0.1:9001/metrics", "http://127.0.0.1:9002/metrics"]
