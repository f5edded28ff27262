"""`make demo` without make."""

import re
from pathlib import Path

from tests.acceptance.processes import arqueduct

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"


def test_the_demo_shows_the_way_and_a_second_start_is_warm(data_dir: Path) -> None:
    def demo() -> str:
        where = ("--port", "0", "--data-dir", data_dir)
        return arqueduct("demo", DOCUMENTS, *where, environment={"DEMO_EXIT": "1"}).stdout

    first = demo()
    assert "bzip2-manual.pdf: completed in" in first
    assert "6 documents: 6 completed" in first
    assert "bzip2-manual.pdf  page 9" in first
    assert "sqlite-datatypes.docx  page 1" in first
    assert "API key    aq_" in first
    (tried,) = re.findall(r'search "your question".*(?:\n[│ ]+\S+)?', first)
    assert "--data-dir" in tried
    assert not (data_dir / "runtime.json").exists()
    second = demo()
    assert second.count("already there") == 6
    assert "completed in" not in second
    assert "bzip2-manual.pdf  page 9" in second
