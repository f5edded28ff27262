"""The two programs find what they are there for."""

from pathlib import Path

import pytest

from tests.hygiene import secret_scan
from tests.hygiene.dependencies import holes_in


def test_a_secret_in_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.py").write_text(f'AWS = "AKIA{"Z7QK4MEXAMPLE2WB"}"\n')  # in two parts here
    (tmp_path / "plain.py").write_text("WORD = 'water'\n")
    monkeypatch.setattr(secret_scan, "ROOT", tmp_path)
    found = [entry for name in ("plain.py", "settings.py") for entry in secret_scan._scan_one(name)]
    assert [(file, kind, line) for file, kind, _, line in found] == [("settings.py", "AWS Access Key", 1)]


def test_what_could_not_be_asked_about_is_no_good_news() -> None:
    skipped = {"name": "idna", "skip_reason": "not found"}
    holed = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}
    assert holes_in([skipped]) == []
    assert holes_in([skipped, holed]) == [("idna", "3.6", "PYSEC-2024-60", "3.7")]
