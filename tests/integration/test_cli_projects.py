"""`arqueduct projects` and `batches` over a real connection, with a worker that does what is asked of it."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import beat
from tests.integration.cli import arqueduct, done, told
from tests.integration.live_server import LiveServer, serving
from tests.integration.test_api_projects import fold
from tests.integration.test_cli_jobs import Commands
from tests.integration.worker import TestWorker, until


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings) as running:
        yield running


@pytest.fixture
def run(server: LiveServer, settings: Settings, me: NewIdentity) -> Commands:
    url = server.url("", "http").removesuffix("/api/v1")
    return Commands(options=("--url", url, "--api-key", me.api_key, "--data-dir", str(settings.data_dir)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`rivers`: two files that can be read, and a torn PDF."""
    rivers = tmp_path / "rivers"
    (rivers / "africa").mkdir(parents=True)
    (rivers / "rhine.md").write_text("# The Rhine\n\nIt flows to the north.\n")
    (rivers / "africa" / "nile.txt").write_text("The Nile is long.")
    (rivers / "torn.pdf").write_bytes(b"%PDF-1.7 torn")
    return rivers


async def waiting(worker: TestWorker) -> list[tuple[UUID, int]]:
    """Jobs that a worker may take, and the wake-up of each."""
    async with worker.services.database.transaction() as transaction:
        found = await transaction.driver.fetch(
            "SELECT id, dispatch FROM jobs WHERE state = 'queued' AND children IS NULL ORDER BY id"
        )
    return [(row["id"], row["dispatch"]) for row in found]


async def work(worker: TestWorker) -> None:
    """All that waits, then the fold."""
    for job_id, dispatch in await waiting(worker):
        await worker.run(job_id, dispatch)
    await fold(worker)


async def work_when_there(worker: TestWorker, jobs: int) -> None:
    """As soon as so many wait."""

    async def are_there() -> bool:
        return len(await waiting(worker)) == jobs

    await until(are_there)
    await work(worker)


async def made(run: Commands, folder: Path, *options: str) -> Any:
    (found,) = told(await run("projects", "create", "Rivers", str(folder), "--json", *options))
    return found


async def test_a_folder_becomes_a_project(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    printed = done(await run("projects", "create", "Rivers", str(folder)))
    assert printed.startswith("Rivers (")
    assert printed.endswith("): 3 files to process.\n")
    await work(api_worker)
    (listed,) = told(await run("projects", "ls", "--json"))[0]["items"]
    assert (listed["name"], listed["state"], listed["files"]) == ("Rivers", "partially_completed", 3)
    assert "partially completed" in done(await run("projects", "ls"))
    page = done(await run("projects", "get", listed["id"], "--files", "10"))
    for said in (
        "partially completed, 100 %",
        "2 of 3 files completed, 1 failed",
        "document_corrupt 1",
        "rivers/torn.pdf",
        "The file is damaged",
        "rivers/africa/nile.txt",
        "embedding requests",
    ):
        assert said in page, page
    (found,) = told(await run("projects", "get", listed["id"], "--json"))
    assert (found["name"], found["counts"]["completed"]) == ("Rivers", 2)
    (only,) = told(await run("projects", "get", listed["id"], "--state", "failed", "--json"))
    assert [file["path"] for file in only["files"]["items"]] == ["rivers/torn.pdf"]


async def test_a_status_fits_eighty_columns(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    project_id = (await made(run, folder))["project"]["id"]
    await work(api_worker)
    page = done(await arqueduct("projects", "get", project_id, *run.options, columns=80))
    lines = [line.rstrip() for line in page.splitlines()]
    assert f"project  {project_id}" in lines
    assert "files    2 of 3 files completed, 1 failed" in lines


async def test_what_was_not_accepted_is_told_and_the_rest_goes_on(run: Commands, folder: Path) -> None:
    (folder / "empty.txt").touch()
    result = await run("projects", "create", "Rivers", str(folder))
    assert result.exit_code == 1
    assert "rivers/empty.txt: not accepted: The file has no bytes." in result.stdout
    assert "3 files to process, 1 not accepted." in result.stdout


async def test_without_an_accepted_file_nothing_is_left(run: Commands, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    result = await run("projects", "create", "Empty", str(tmp_path / "empty.txt"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No file was accepted" in result.stderr
    assert done(await run("sets", "ls")) == "There are no file sets.\n"
    assert done(await run("projects", "ls")) == "There are no projects.\n"


async def test_an_unknown_profile_is_said_before_anything_is_sent(run: Commands, folder: Path) -> None:
    result = await run("projects", "create", "Rivers", str(folder), "--profile", "nothing like it", "--json")
    assert json.loads(result.stderr)["error"]["code"] == "profile_unknown"
    assert done(await run("sets", "ls")) == "There are no file sets.\n"


async def test_a_set_that_is_there_is_a_project_too(run: Commands, folder: Path) -> None:
    (files,) = told(await run("sets", "create", str(folder), "--json"))
    printed = done(await run("projects", "create", "Again", "--set", files["id"], "--on-error", "stop_on_error"))
    assert "3 files to process." in printed
    (listed,) = told(await run("projects", "ls", "--json"))[0]["items"]
    (found,) = told(await run("projects", "get", listed["id"], "--json"))
    assert found["policy"] == {"on_error": "stop_on_error", "threshold": 0}


async def test_a_project_is_watched_to_its_end(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    watching = asyncio.create_task(run("projects", "create", "Rivers", str(folder), "--watch", "--json"))
    await work_when_there(api_worker, 3)
    result = await watching
    assert result.exit_code == 1
    created, *events = told(result)
    assert created["project"]["name"] == "Rivers"
    assert events[0]["event"] == "began"
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["name"].endswith("torn.pdf"), failed["error"]["code"]) == (True, "document_corrupt")
    assert (events[-1]["event"], events[-1]["state"]) == ("ended", "partially_completed")
    parents = [event for event in events if event["event"] == "progress"]
    assert {event["job_id"] for event in parents} <= {created["job"]["id"]}
    assert [event["progress"] for event in parents] == sorted(event["progress"] for event in parents)


async def test_a_completed_project_is_exit_status_zero(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    (folder / "torn.pdf").unlink()
    project_id = (await made(run, folder))["project"]["id"]
    await work(api_worker)
    printed = done(await run("projects", "watch", project_id))
    assert printed.startswith("Rivers is completed: 2 of 2 files completed, ")
    assert done(await run("projects", "watch", project_id, "--quiet")) == ""


async def test_what_failed_before_somebody_watched_is_told_once(
    run: Commands, folder: Path, api_worker: TestWorker
) -> None:
    project_id = (await made(run, folder))["project"]["id"]
    await work(api_worker)
    result = await run("projects", "watch", project_id)
    assert result.exit_code == 1
    assert result.stdout.count("torn.pdf: failed: The file is damaged") == 1
    assert f"arqueduct projects errors {project_id}" in result.stdout
    quiet = await run("projects", "watch", project_id, "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert "torn.pdf: failed" in quiet.stderr


async def test_watching_goes_on_without_a_socket(
    run: Commands, server: LiveServer, folder: Path, api_worker: TestWorker
) -> None:
    """It is cut while the project runs, and whoever opens another hears nothing on it."""
    project_id = (await made(run, folder))["project"]["id"]
    watching = asyncio.create_task(run("projects", "watch", project_id))
    bridge = server.services.bridge

    async def is_open() -> bool:
        return any(bridge._clients())

    await until(is_open)
    await bridge.stop()
    await work(api_worker)
    result = await watching
    assert result.exit_code == 1
    assert "Rivers is partially completed: 2 of 3 files completed, 1 failed" in result.stdout


async def test_a_project_is_paused_resumed_and_cancelled(run: Commands, folder: Path) -> None:
    project_id = (await made(run, folder))["project"]["id"]
    said = "Rivers is {}: 0 of 3 files completed, 3 {}.\n"
    assert done(await run("projects", "pause", project_id)) == said.format("paused", "paused")
    assert done(await run("projects", "resume", project_id)) == said.format("queued", "waiting")
    assert done(await run("projects", "cancel", project_id)) == said.format("cancelled", "cancelled")
    refused = await run("projects", "pause", project_id, "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "illegal_transition"
    (again,) = told(await run("projects", "retry", project_id, "--cancelled", "--json"))
    assert (again["state"], again["counts"]["queued"]) == ("queued", 3)


async def test_only_what_failed_is_tried_again(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    project_id = (await made(run, folder))["project"]["id"]
    await work(api_worker)
    nothing = done(await run("projects", "retry", project_id, "--code", "timeout"))
    assert "2 of 3 files completed, 1 failed." in nothing
    printed = done(await run("projects", "retry", project_id, "--code", "document_corrupt"))
    assert printed == "Rivers is running: 2 of 3 files completed, 1 waiting.\n"
    await work(api_worker)
    assert done(await run("projects", "run", project_id)).endswith(": 3 files to process.\n")


async def test_what_failed_is_listed_and_written(
    run: Commands, folder: Path, api_worker: TestWorker, tmp_path: Path
) -> None:
    project_id = (await made(run, folder))["project"]["id"]
    assert done(await run("projects", "errors", project_id)) == "Nothing failed.\n"
    await work(api_worker)
    printed = done(await run("projects", "errors", project_id))
    assert printed.startswith("1 failure: document_corrupt 1\n")
    assert "rivers/torn.pdf" in printed
    (found,) = told(await run("projects", "errors", project_id, "--code", "timeout", "--json"))
    assert found == {"by_code": {}, "items": []}
    file = tmp_path / "errors.csv"
    assert done(await run("projects", "errors", project_id, "--csv", str(file))) == f"{file} is written.\n"
    (line,) = csv.DictReader(io.StringIO(file.read_text()))
    assert (line["path"], line["code"]) == ("rivers/torn.pdf", "document_corrupt")
    assert done(await run("errors", "--kind", "document.ingest", "--csv", "-")).count("document_corrupt") == 1
    assert "1 failure" in done(await run("errors"))
    assert done(await run("errors", "--kind", "report.write")) == "Nothing failed of the kind report.write.\n"
    none = done(await run("errors", "--code", "nosuch", "--after", "2026-01-01"))
    assert none == "Nothing failed with the code nosuch in that time.\n"
    refused = await run("errors", "--csv", str(tmp_path / "no" / "where.csv"))
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (1, True)
    assert not await asyncio.to_thread(lambda: list(tmp_path.rglob("*.part")))


async def test_what_failed_is_processed_again_as_a_batch(run: Commands, folder: Path, api_worker: TestWorker) -> None:
    await made(run, folder)
    await work(api_worker)
    watching = asyncio.create_task(
        run("batches", "create", "--status", "failed", "--type", "pdf", "--name", "Once more", "--watch")
    )
    await work_when_there(api_worker, 1)
    result = await watching
    assert result.exit_code == 1
    assert "Once more (" in result.stdout
    assert "torn.pdf: failed: The file is damaged" in result.stdout
    assert "Once more is failed: 0 of 1 document completed, 1 failed" in result.stdout
    (listed,) = told(await run("batches", "ls", "--json"))[0]["items"]
    assert "Once more" in done(await run("batches", "ls"))
    assert "Once more" in done(await run("batches", "get", listed["id"]))
    assert "torn.pdf" in done(await run("batches", "errors", listed["id"]))
    assert done(await run("batches", "retry", listed["id"])).startswith("Once more is queued")
    assert done(await run("batches", "pause", listed["id"])).startswith("Once more is paused")
    assert done(await run("batches", "resume", listed["id"])).startswith("Once more is queued")
    assert done(await run("batches", "cancel", listed["id"])).startswith("Once more is ")


async def test_documents_are_named_or_all_of_them(run: Commands, folder: Path) -> None:
    (files,) = told(await run("sets", "create", str(folder), "--json"))
    first, second, _ = (file["document_id"] for file in files["files"])
    (one,) = told(await run("batches", "create", "--ids", f"{first},{second}", "--json"))
    assert one["batch"]["documents"] == 2
    printed = done(await run("batches", "create", "--set", files["id"], "--status", "uploaded"))
    assert ": 1 document to process." in printed
    result = await run("batches", "create", "--ids", "abc")
    assert "abc is no id" in result.stderr
    result = await run("batches", "create", "--all", "--action", "nothing.known")
    assert (result.exit_code, result.stdout) == (1, "")


async def test_profiles_are_made_shown_and_checked(run: Commands, api_worker: TestWorker, tmp_path: Path) -> None:
    await beat(api_worker)
    file = tmp_path / "settings.json"
    file.write_text('{"options": {"chunk": {"size": 1500, "overlap": 200}}}')
    title, default = done(await run("profiles", "ls")).splitlines()
    assert title.split() == ["Profile", "Name", "Version", "Pipeline", "Age"]
    assert default.split() == ["–", "default", "1", "document.ingest", "built", "in"]
    assert told(await run("profiles", "ls", "--json")) == [{"items": []}]
    assert done(await run("profiles", "validate", "--file", str(file))) == "A profile can be made of these settings.\n"
    assert done(await run("profiles", "create", "long", "--file", str(file))).endswith(" is made, version 1.\n")
    assert "long" in done(await run("profiles", "ls"))
    shown = done(await run("profiles", "get", "long"))
    assert '"size": 1500' in shown
    (found,) = told(await run("profiles", "get", "long", "--json"))
    assert told(await run("profiles", "get", found["id"], "--json")) == [found]
    assert "document.ingest" in done(await run("profiles", "get", "default"))
    piped = await run("profiles", "create", "short", "--file", "-", piped='{"options": {"chunk": {"size": 500}}}')
    assert done(piped).startswith("short (")
    refused = await run("profiles", "create", "long", "--file", str(file), "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "profile_name_taken"


async def test_wrong_settings_are_told_by_place(run: Commands, api_worker: TestWorker, tmp_path: Path) -> None:
    await beat(api_worker)
    file = tmp_path / "settings.json"
    file.write_text('{"options": {"chunk": {"size": -1}}}')
    result = await run("profiles", "validate", "--file", str(file))
    assert result.exit_code == 1
    assert result.stdout.startswith("#/settings/options/chunk/size: ")
    (verdict,) = told(await run("profiles", "validate", "--file", str(file), "--json"))
    assert not verdict["is_valid"]
    quiet = await run("profiles", "validate", "--file", str(file), "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    file.write_text("{")
    result = await run("profiles", "create", "none", "--file", str(file))
    assert (result.exit_code, "is no JSON" in result.stderr) == (1, True)


async def test_pipelines_are_listed_with_their_stages(run: Commands, api_worker: TestWorker) -> None:
    refused = await run("pipelines", "--json")
    assert json.loads(refused.stderr)["error"]["code"] == "no_worker_yet"
    await beat(api_worker)
    printed = done(await run("pipelines"))
    assert "document.ingest" in printed
    assert "download → extract → chunk → embed → store" in printed
    assert "options: " in printed
    (found,) = told(await run("pipelines", "--json"))
    assert "document.simulate" in {pipeline["kind"] for pipeline in found["pipelines"]}
