import os
from pathlib import Path

from arqueduct.settings import Settings
from arqueduct_worker.workspace import open_workspace

NO_PROCESS = 2**22 + 1  # above the largest pid that Linux gives


def test_what_a_killed_worker_left_is_removed_and_a_living_ones_files_stay(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    dead, alive, announcement = (
        settings.temporary_dir / f"worker-{NO_PROCESS}",
        settings.temporary_dir / f"worker-{os.getppid()}",
        settings.temporary_dir / f"worker-{NO_PROCESS}.json",
    )
    (dead / "job-1").mkdir(parents=True)
    alive.mkdir()
    announcement.touch()
    mine = open_workspace(settings)
    assert mine.is_dir()
    assert not dead.exists()
    assert alive.exists()
    assert announcement.exists()


def test_a_worker_begins_with_an_empty_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (open_workspace(settings) / "left").touch()
    assert list(open_workspace(settings).iterdir()) == []
