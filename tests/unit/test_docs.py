"""The documentation says what the code does: links, snippets, and every table that repeats a list of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from arqueduct import error_page, lifecycle, metrics
from arqueduct.errors import ArqueductError, IllegalTransition
from arqueduct.lifecycle import Action, JobState
from arqueduct.permissions import ROLES, Permission, Role
from arqueduct.pipeline import registry
from arqueduct.settings import Settings
from arqueduct_backend.live import closing
from arqueduct_backend.live.closing import Close

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FOLDERS = ("benchmarks", "docs", "examples")
PAGES = sorted([*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))])
OF_CLIENTS = {"ARQUEDUCT_URL", "ARQUEDUCT_API_KEY"}
LINES_OF_A_RECORD = 40


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def snippets(language: str) -> Iterator[tuple[str, str, str]]:
    """Page and line, the words behind the language, and the code."""
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(rf"^```{language}\b *([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield f"{name_of(page)}:{text[: found.start()].count(chr(10)) + 1}", found[1], found[2]


PYTHON = list(snippets("python"))


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the table whose first column is called `heading`; code marks taken off, escaped pipes put back."""
    lines = iter((DOCS / page).read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        found.append([cell.strip().replace("`", "").replace("\\|", "|") for cell in cells])
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


@pytest.mark.parametrize(("place", "code"), [(place, code) for place, _, code in PYTHON], ids=[x[0] for x in PYTHON])
def test_python_snippets_compile(place: str, code: str) -> None:
    ast.parse(code, place)


RUNNABLE = [(place, code) for place, words, code in PYTHON if "run" in words.split()]


@pytest.mark.parametrize(("place", "code"), RUNNABLE, ids=[place for place, _ in RUNNABLE])
def test_snippets_that_say_so_run(place: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, place, "exec"), {"__name__": "__main__"})


def test_the_page_of_errors_is_the_one_of_the_code() -> None:
    """`make docs` writes it."""
    assert (DOCS / "errors.md").read_text() == error_page.page()
    listed = {code: status for code, status, *_ in rows("errors.md", "code")}
    assert listed.pop("worker_died") == "–"
    assert listed == {kind.code: str(kind.status) for kind in _tree(ArqueductError) if _is_ours(kind)}


def test_the_access_page_has_the_table_of_permissions() -> None:
    listed = {name: dict(zip(Role, cells, strict=False)) for name, *cells in rows("access.md", "permission")}
    assert listed == {
        str(permission): {role: "✓" if permission in ROLES[role] else "" for role in Role} for permission in Permission
    }


def test_the_lifecycle_page_has_the_table_of_the_code() -> None:
    listed = {
        state: (_words(follows), _words(allows)) for state, _, follows, allows in rows("job-lifecycle.md", "state")
    }
    assert listed == {
        str(state): (set(map(str, lifecycle.successors(state))), set(map(str, _allowed(state)))) for state in JobState
    }


def test_the_operations_page_lists_every_metric_with_its_type_and_labels() -> None:
    listed = {
        name: (kind, _words(re.sub(":.*", "", labels))) for name, kind, labels, _ in rows("operations.md", "metric")
    }
    assert listed == dict(_metrics())


def test_the_live_page_lists_every_close_code() -> None:
    listed = {int(code) for code, *_ in rows("live-updates.md", "code")}
    assert listed == {value.code for value in vars(closing).values() if isinstance(value, Close)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_that_are_named_exist(page: Path) -> None:
    known = {f"ARQUEDUCT_{name.upper()}" for name in Settings.model_fields} | OF_CLIENTS
    named = {name.removesuffix("_FILE") for name in re.findall(r"\bARQUEDUCT_[A-Z_]*[A-Z]\b", page.read_text())}
    assert named <= known


@pytest.mark.parametrize("record", sorted((DOCS / "decisions").glob("0*.md")), ids=name_of)
def test_a_decision_is_short_and_in_the_list(record: Path) -> None:
    lines = record.read_text().splitlines()
    assert len(lines) <= LINES_OF_A_RECORD
    assert lines[0].startswith(f"# {record.stem[:4]} – ")
    assert [line for line in lines if line.startswith("## ")][:2] == ["## Context", "## Decision"]
    assert lines[0].removeprefix(f"# {record.stem[:4]} – ") in (DOCS / "decisions/README.md").read_text()


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _tree(root: type[ArqueductError]) -> Iterator[type[ArqueductError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _is_ours(kind: type[ArqueductError]) -> bool:
    return kind.__module__.startswith("arqueduct.errors.")


def _words(cell: str) -> set[str]:
    return {word.strip() for word in cell.split(",") if word.strip() not in ("", "–")}


def _allowed(state: JobState) -> Iterator[Action]:
    for action in Action:
        try:
            lifecycle.check(action, state)
        except IllegalTransition:
            continue
        yield action


def _metrics() -> Iterator[tuple[str, tuple[str, set[str]]]]:
    for metric in metrics.REGISTRY._collector_to_names:
        (described,) = metric.describe()
        suffix = {"counter": "_total", "info": "_info"}.get(described.type, "")
        kind = "gauge" if described.type == "info" else described.type
        labels = {"version"} if described.type == "info" else set(metric._labelnames)
        yield described.name + suffix, (kind, labels)


def test_the_stage_on_the_front_page_is_the_one_of_the_example() -> None:
    example = (ROOT / "examples/redact-emails/src/arqueduct_redact_emails/__init__.py").read_text()
    (shown,) = [code for place, _, code in PYTHON if place.startswith("README.md")]
    for part in shown.split("\n\n\n"):
        assert part.strip() in example


def test_the_events_on_the_front_page_are_in_the_order_of_the_stages() -> None:
    labels = [stage.label for stage in registry().stages("document.ingest", without=frozenset({"redact"}))]
    labels.insert(labels.index("chunking"), "redacting")
    told = re.findall(
        r"^\| \d+ \| (\w+) \| \**(\w+)\** \| ([\d.]+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert [stage for _, stage, _ in told] == ["queued", *labels, "completed"]
    assert [kind for kind, _, _ in told] == ["job_queued", *["job_progress"] * len(labels), "job_completed"]
