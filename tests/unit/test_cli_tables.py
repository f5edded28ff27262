import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arqueduct.cli import people
from arqueduct.cli.commands.keys import COLUMNS
from arqueduct.cli.job_tables import print_attempts, print_jobs
from arqueduct.cli.output import SafeConsole

JOB = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c1"


def screen(width: int, *, is_terminal: bool = True) -> SafeConsole:
    return SafeConsole(
        file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None, highlight=False, emoji=False
    )


def shown(console: SafeConsole) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def job(number: int, state: str, name: str, **fields: Any) -> dict[str, Any]:
    made = (datetime.now(UTC) - timedelta(days=700)).isoformat()  # as old when a test runs as when this is imported
    known = {"id": f"{JOB}{number}", "kind": "document.ingest", "state": state, "progress": 0.4, "created_at": made}
    return {**known, "stage": "embedding", "error": None, "document_name": name, **fields}


ERROR = {
    "message": "The file is damaged, and so it cannot be read from its beginning to its end.",
    "advice": "Mend it.",
}
FAILED = job(1, "failed", "annual-report.pdf", error=ERROR)
DONE = job(2, "completed", "b.md")


def test_eighty_columns_say_what_a_job_is_for() -> None:
    print_jobs([FAILED, DONE], console := screen(80))
    head, first, below, second = shown(console)
    assert head.split() == ["Job", "State", "%", "Age", "Document"]
    assert first.split() == [FAILED["id"], "failed", "40", "700", "d", "annual-report.pdf"]
    assert below == "  The file is damaged, and so it cannot be read from its beginning to its end."
    assert second.split() == [DONE["id"], "completed", "40", "700", "d", "b.md"]


def test_a_wide_terminal_has_it_all_on_a_line() -> None:
    print_jobs([FAILED, DONE], console := screen(200))
    head, first, _ = shown(console)
    assert head.split() == ["Job", "State", "%", "Age", "Document", "What"]
    assert first.endswith(ERROR["message"])


def test_a_kind_is_told_where_there_are_several() -> None:
    delivery = job(3, "completed", "", kind="webhook.deliver", document_name=None)
    print_jobs([DONE, delivery], console := screen(80))
    assert shown(console)[2] == "  document.ingest"
    assert shown(console)[4] == "  webhook.deliver"


def test_completed_jobs_alone_are_a_line_each() -> None:
    print_jobs([DONE, job(4, "completed", "a-name-that-is-longer-than-what-is-left.pdf")], console := screen(80))
    assert len(shown(console)) == 3
    assert shown(console)[2].split()[1:] == ["completed", "40", "700", "d", "a-name-that-is-long…"]


def test_in_a_pipe_a_row_is_a_line() -> None:
    print_jobs([FAILED, DONE], console := screen(80, is_terminal=False))
    head, first, _ = shown(console)
    assert head.endswith("What")
    assert first.endswith(ERROR["message"])


def test_eighty_columns_hold_attempts() -> None:
    attempt = {
        "attempt": 1,
        "started_at": "2026-11-23T12:00:00Z",
        "ended_at": "2026-11-23T12:00:01Z",
        "stage": "embedding",
    }
    more = {"outcome": "failed", "worker": "host-1", "version": "0.1.0", "code": "corrupt", "message": ERROR["message"]}
    print_attempts([{**attempt, **more}], console := screen(80))
    head, first, *below = shown(console)
    assert head.split() == ["#", "Began", "Took", "Outcome", "Stage"]
    assert first.endswith("1.0 s  failed   embedding")
    assert " ".join(" ".join(below).split()) == f"host-1 0.1.0 corrupt: {ERROR['message']}"
    assert all(line.startswith("  ") and len(line) <= 80 for line in below)


KEY = {
    "id": f"{JOB}0",
    "name": "ci (aq_x7Kd…)",
    "email": "somebody.with.a.long.address@example.org",
    "tenant": "Acme & Sons",
    "scopes": ["documents:read", "documents:write", "jobs:read"],
    "last_used_at": "5 min ago",
    "state": "good until 2026-12-24 18:00",
}


@pytest.mark.parametrize("width", [80, 120])
def test_no_address_and_no_time_is_broken(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(people, "out", console := screen(width))
    people.table(COLUMNS, [KEY])
    first, *rest = shown(console)
    assert first == KEY["id"]
    for whole in (KEY["email"], KEY["state"], "Tenant Acme & Sons", "Used 5 min ago"):
        assert any(str(whole) in line for line in rest)
    assert all(len(line) <= width for line in rest)


def test_what_is_not_there_takes_no_place_where_it_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "out", console := screen(60))
    people.table(
        {"id": "User", "email": "Address", "at": "Disabled"}, [{"id": KEY["id"], "email": "a@b" * 9, "at": None}]
    )
    assert shown(console) == [KEY["id"], "  Address " + "a@b" * 9]


def test_names_do_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "out", console := screen(80))
    evil = "evil\x1b[31mred\x9b2J\u202e\nline\x07"
    people.facts({"name": evil})
    people.table({"id": "Tenant", "name": "Name"}, [{"id": "1", "name": evil}])
    print_jobs([job(1, "failed", evil, error={"message": evil})], console)
    console.print(evil)
    said = "\n".join(shown(console))
    assert said.count("evil[31mred2J line") == 4
    assert not set("\x1b\x9b\u202e\x07") & set(said)
