"""What needs no server: help, wrong usage, errors before anything starts."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arqueduct import __version__
from arqueduct.cli import app

COMMANDS = ("up", "demo", "api", "worker", "ingest", "search", "doctor", "bench", "openapi")
GROUPS = {
    "jobs": ("ls", "get", "watch", "attempts", "cancel", "pause", "resume", "retry"),
    "sets": ("ls", "create", "get", "add", "rm"),
    "migrate": ("up", "down", "status"),
    "tenants": ("create", "ls"),
    "users": ("ls", "invite", "disable", "enable", "reset-password", "role"),
    "keys": ("ls", "create", "revoke"),
    "queue": ("status", "rules", "pause", "resume", "limit"),
}
WRONG = [
    ["search"],
    ["jobs", "get", "not-an-id"],
    ["jobs", "cancel"],
    ["jobs", "cancel", "--all", "--state", "queued"],
    ["jobs", "pause", "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11", "--all"],
    ["jobs", "retry", "--created-before", "yesterday"],
    ["sets", "get", "not-an-id"],
    ["sets", "create", "/nothing/here"],
    ["sets", "create", ".", "--name", " Padded"],
    ["ingest", "/nothing/here"],
    ["ingest", ".", "--priority", "at-once"],
    ["queue", "pause", "--tenant", ""],
    ["queue", "pause", "--kind", ""],
    ["queue", "pause", "--tenant", "*", "--kind", "document.ingest"],
    ["queue", "limit"],
    ["queue", "limit", "--max-running", "1"],
    ["queue", "limit", "--kind", "document.ingest"],
    ["queue", "limit", "--kind", "document.ingest", "--weight", "2"],
    ["queue", "limit", "--tenant", "*", "--weight", "nan"],
    ["queue", "limit", "--tenant", "*", "--max-running", "0"],
    ["queue", "limit", "--tenant", "*", "--max-running", "1", "--no-max-running"],
    ["users", "invite", "nobody"],
    ["users", "invite", "ada@exam ple.org"],
    ["tenants", "create", ""],
    ["tenants", "create", " Acme"],
    ["tenants", "create", "A" * 201],
    ["tenants", "create", "evil\x1b[31mred"],
    ["tenants", "create", "not\udcffutf-8"],
    ["tenants", "create", "Acme", "--email", "notanaddress"],
    ["keys", "create", "ada@example.org", "--name", ""],
    ["users", "role", "ada@example.org", "service"],
    ["keys", "create", "ada@example.org", "--scope", "everything"],
    ["keys", "revoke", "aq_x7Kd"],
    ["up", "--port", "99999"],
]

run = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "ARQUEDUCT_URL", "ARQUEDUCT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARQUEDUCT_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), *([g, n] for g, ns in GROUPS.items() for n in ns)])
def test_every_command_helps_and_speaks_json(command: list[str]) -> None:
    shown = run.invoke(app, [*command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert "--json" in shown.output or command == ["demo"]
    assert "--data-dir" in shown.output
    assert "die-with-parent" not in shown.output
    assert f"arqueduct {' '.join(command)}" in shown.output.partition("Examples:")[2]


def test_the_version_is_told() -> None:
    assert run.invoke(app, ["--version"]).output == f"arqueduct {__version__}\n"


@pytest.mark.parametrize("command", WRONG, ids=lambda command: ascii(" ".join(command))[:80])
def test_wrong_usage_is_status_two(command: list[str]) -> None:
    assert run.invoke(app, command).exit_code == 2


@pytest.mark.parametrize(
    "command", [["search", "water"], ["jobs", "ls"], ["jobs", "watch"], ["jobs", "cancel", "--all"]]
)
def test_without_a_server_the_way_to_one_is_told(command: list[str]) -> None:
    for options in ([], ["--json"]):
        told = run.invoke(app, [*command, *options])
        assert told.exit_code == 1
        assert "arqueduct up" in told.stderr
        assert told.stdout == ""
    assert json.loads(told.stderr)["error"]["code"] == "setup_error"


def test_nobody_at_the_address_is_not_a_stack_trace() -> None:
    told = run.invoke(app, ["search", "water", "--url", "http://127.0.0.1:1", "--api-key", "k"])
    assert told.exit_code == 1
    assert told.stderr.startswith("Error: Nobody answers at http://127.0.0.1:1.")


@pytest.mark.parametrize(
    "command",
    [
        ["tenants", "create", "Acme"],
        ["tenants", "ls"],
        ["users", "ls"],
        ["keys", "ls"],
        ["queue", "status"],
        ["migrate", "status"],
        ["migrate", "down", "--yes"],
    ],
    ids=" ".join,
)
def test_where_there_is_no_installation_none_is_made(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (tmp_path / "data", file):
        told = run.invoke(app, [*command, "--data-dir", str(folder)])
        assert told.exit_code == 1
        assert told.stderr.startswith(f"Error: There is no installation in {folder}.\nName its folder with --data-dir")
    assert list(tmp_path.iterdir()) == [file]


def test_options_say_where_their_values_come_from() -> None:
    shown = run.invoke(app, ["search", "--help"], env={"COLUMNS": "160"}).output
    assert "$ARQUEDUCT_API_KEY" in shown
    assert "$ARQUEDUCT_URL" in shown
    assert "service" not in run.invoke(app, ["users", "role", "--help"]).output
    assert "webhooks:write" not in run.invoke(app, ["keys", "create", "--help"]).output
    assert "webhooks:write" in run.invoke(app, ["keys", "create", "a@b", "--scope", "x"], env={"COLUMNS": "300"}).output


def test_what_is_said_where_doctor_cannot_help(tmp_path: Path) -> None:
    told = run.invoke(app, ["ingest", str(tmp_path)])
    assert told.stderr == (
        "Error: There are no files in what was named.\n"
        "Name files, or folders with some; hidden ones are left out of folders.\n"
    )
    for command in (["search", "a", "--url", "http://127.0.0.1:1"], ["search", "a", "--url", "nonsense"], ["worker"]):
        assert "doctor" not in run.invoke(app, command).stderr


@pytest.mark.parametrize("command", ["api", "worker"])
def test_one_process_alone_needs_servers(command: str) -> None:
    told = run.invoke(app, [command])
    assert told.exit_code == 1
    assert "DATABASE_URL and REDIS_URL" in told.stderr


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARQUEDUCT_WORKERS", "many")
    told = run.invoke(app, ["doctor"])
    assert told.exit_code == 1
    assert "workers" in told.stderr


def test_an_empty_folder_has_nothing_to_ingest(tmp_path: Path) -> None:
    told = run.invoke(app, ["ingest", str(tmp_path)])
    assert told.exit_code == 1
    assert "no files" in told.stderr


def test_openapi_is_printed_in_both_ways() -> None:
    for options in ([], ["--json"]):
        described = json.loads(run.invoke(app, ["openapi", *options]).stdout)
        assert "/api/v1/documents" in described["paths"]


def test_doctor_looks_at_a_machine_on_which_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-to-be-shown-to-anybody")
    monkeypatch.setenv("ARQUEDUCT_EMBEDDER", "openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("REDIS_URL", "redis://:hidden-word@127.0.0.1:1/0")
    told = run.invoke(app, ["doctor", "--json"])
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    verdicts = {check["name"]: check["verdict"] for check in found["checks"]}
    assert (verdicts["Python"], verdicts["Disk"], verdicts["Postgres"]) == ("ok", "ok", "skipped")
    assert (verdicts["Redis"], verdicts["Embedding model"]) == ("failed", "failed")
    assert found["configuration"]["openai_api_key"] == {"value": "…", "changed": True}
    assert "never-to-be-shown" not in told.stdout
    assert "hidden-word" not in told.stdout
