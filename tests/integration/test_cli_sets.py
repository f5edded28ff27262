"""`arqueduct sets` over a real connection: folders become sets, and each refused file is told."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arqueduct.cli.set_uploads import batches, named_files
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.cli import arqueduct, done, told
from tests.integration.live_server import serving
from tests.integration.test_cli_jobs import Commands


@pytest.fixture
async def run(settings: Settings, me: NewIdentity) -> AsyncIterator[Commands]:
    async with serving(settings) as server:
        url = server.url("", "http").removesuffix("/api/v1")
        yield Commands(options=("--url", url, "--api-key", me.api_key, "--data-dir", str(settings.data_dir)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`rivers` with files at two levels, a hidden one, and one that nobody can read."""
    rivers = tmp_path / "rivers"
    (rivers / "africa").mkdir(parents=True)
    (rivers / "rhine.md").write_text("# The Rhine\n")
    (rivers / "africa" / "nile.txt").write_text("The Nile.")
    (rivers / ".hidden.txt").write_text("Hidden.")
    return rivers


def write(folder: Path, name: bytes, text: str) -> None:
    """Under a name that need not be UTF-8."""
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(text)


async def test_a_folder_becomes_a_set(run: Commands, folder: Path) -> None:
    (made,) = told(await run("sets", "create", str(folder), "--json"))
    assert (made["name"], [file["path"] for file in made["files"]]) == (
        "rivers",
        ["rivers/rhine.md", "rivers/africa/nile.txt"],
    )
    (found,) = told(await run("sets", "get", made["id"], "--json"))
    assert found["statistics"]["total"]["files"] == 2
    assert {file["document"]["status"] for file in found["files"]} == {"uploaded"}
    printed = done(await run("sets", "get", made["id"]))
    assert "rivers/africa/nile.txt" in printed
    assert re.search(r"bytes +21 B\b", printed)
    assert re.search(r"created at +\d{4}-\d\d-\d\d \d\d:\d\d\b", printed)
    assert "2 files" in printed


async def test_what_was_not_accepted_is_told(run: Commands, folder: Path) -> None:
    (folder / "empty.txt").touch()
    (folder / "copy.md").write_text("# The Rhine\n")
    result = await run("sets", "create", str(folder), "--name", "All rivers")
    assert result.exit_code == 1
    assert "rivers/empty.txt: not accepted: The file has no bytes." in result.stdout
    assert "2 files accepted, 2 not accepted." in result.stdout
    quiet = await run("sets", "create", str(folder), "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert "empty.txt" in quiet.stderr


async def test_a_name_that_is_not_utf8_goes_with_its_readable_part(run: Commands, folder: Path) -> None:
    write(folder, b"bad\xff.txt", "The Rhone.")
    for command in (("sets", "create"), ("projects", "create", "Rivers")):
        made = await run(*command, str(folder), "--json")
        assert "rivers/bad\ufffd.txt" in [file["path"] for file in told(made)[0]["files"]]
    result = await run("sets", "create", str(folder))
    assert f"Sent under another name, as 1 name is not UTF-8: {folder}/bad\ufffd.txt" in result.stderr


async def test_uploads_are_told_under_the_name_that_the_server_keeps(run: Commands, folder: Path) -> None:
    folder = folder / "asia"
    folder.mkdir()
    for name in (b"bad\xff.txt", b'a "quote".txt'):
        write(folder, name, name.hex())
    events = told(await run("ingest", str(folder), "--no-wait", "--json"))
    assert {event["name"] for event in events if event["event"] == "uploaded"} == {
        "bad\ufffd.txt",
        "a %22quote%22.txt",
    }
    assert "1 name is not UTF-8" in (await run("ingest", str(folder), "--no-wait")).stderr


async def test_a_pipe_is_refused_at_once(run: Commands, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for command in (("ingest",), ("sets", "create"), ("projects", "create", "Rivers")):
        refused = await run(*command, str(pipe))
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "pipe.txt is no regular file." in refused.stderr
    assert done(await run("sets", "ls")) == "There are no file sets.\n"


async def test_a_folder_without_files_makes_no_set(run: Commands, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.txt").write_text("Hidden.")
    for command in (("sets", "create"), ("projects", "create", "Rivers")):
        refused = await run(*command, str(tmp_path / "empty"))
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "There are no files" in refused.stderr
    assert done(await run("sets", "ls")) == "There are no file sets.\n"


async def test_where_an_upload_ends_half_way_the_set_is_told(
    run: Commands, folder: Path, settings: Settings, me: NewIdentity
) -> None:
    quota = await arqueduct("tenants", "quota", str(me.tenant_id), "--documents", "1", settings=settings)
    assert quota.exit_code == 0, quota.output
    for command in (("sets", "create"), ("projects", "create", "Rivers")):
        refused = await run(*command, str(folder), "--json")
        error = json.loads(refused.stderr)["error"]
        made = told(await run("sets", "ls", "--limit", "1", "--json"))[0]["items"][0]["id"]
        assert (refused.exit_code, error["code"]) == (1, "quota_exceeded")
        assert f"sets add {made}" in error["advice"]
    added = told(await run("sets", "add", made, str(folder / "rhine.md"), "--json"))
    assert [file["accepted"] for file in added[0]["files"]] == [True]


async def test_sets_are_listed_filled_and_removed(run: Commands, folder: Path, tmp_path: Path) -> None:
    assert done(await run("sets", "ls")) == "There are no file sets.\n"
    (made,) = told(await run("sets", "create", str(folder / "rhine.md"), "--name", "One", "--json"))
    assert made["id"] in done(await run("sets", "ls"))
    more = done(await run("sets", "add", made["id"], str(folder / "africa")))
    assert more == f"One ({made['id']}): 1 file accepted.\n"
    (again,) = told(await run("sets", "add", made["id"], str(folder / "africa"), "--json"))
    assert again["files"][0]["error"]["code"] == "duplicate_file"
    assert done(await run("sets", "rm", made["id"], "--documents")) == f"File set {made['id']} is removed.\n"
    refused = await run("sets", "get", made["id"], "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "not_found"


async def test_many_files_go_in_several_requests(run: Commands, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(450):
        (many / f"{number:03}.txt").write_text(f"File {number}")
    assert [len(batch.files) for batch in batches(named_files([many], print))] == [200, 200, 50]
    printed = done(await run("sets", "create", str(many)))
    assert "450 files accepted." in printed


def test_a_file_that_is_named_twice_goes_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = named_files([Path("rhine.md"), Path()], print)
    assert [name for name, _ in found] == ["rhine.md", "africa/nile.txt"]


async def test_help_has_examples() -> None:
    assert "sets create contracts/" in done(await arqueduct("sets", "create", "--help"))
