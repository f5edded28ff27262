from pathlib import Path

from arqueduct.cli.reference import reference
from arqueduct.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == reference(), "run `make docs`"


def test_every_setting_has_a_line_with_a_reason() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert all(row.rstrip(" |").endswith(".") for row in rows)
