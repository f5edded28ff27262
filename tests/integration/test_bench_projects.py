"""`arqueduct bench projects` tells what it is asked for; how fast it was is not a test's business."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from rich.console import Console

from arqueduct import events
from arqueduct.cli.family_bench.hearing import Hearing
from arqueduct.cli.family_bench.results import ProjectsReport, table_of
from arqueduct.events import JobMessage
from arqueduct.ids import new_id
from arqueduct.lifecycle import JobState

FILES = 60


async def test_a_small_project_and_a_batch_are_measured_and_recounted() -> None:
    options = ["--files", str(FILES), "--workers", "1", "--json"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "arqueduct.cli", "bench", "projects", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, said = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, said.decode()
    report = json.loads(told)
    assert (report["files"], report["workers"]) == (FILES, 1)
    (project,), (batch,) = report["projects"], report["batches"]
    assert [project[f"status_{when}"]["count"] for when in ("before", "after")] == [200, 200]
    assert project["status_during"]["count"] >= 1
    assert project["heard"]["about_children"] >= FILES
    assert project["heard"]["messages"] > project["heard"]["about_parent"] >= 3
    assert project["children_per_second"] > 0
    assert 0 < project["counting"]["least"] <= project["counting"]["median"] <= project["counting"]["most"]
    assert batch["snapshot"]["jobs"] >= 1
    assert set(batch["lists"]) == {"/jobs", "/documents", "/projects", "/batches", "/errors"}
    shown = _shown(report)
    assert f"A project of {FILES} files" in shown
    assert "status, 95 %, during" in shown
    assert "1 round, 1 worker" in shown


def test_what_a_parent_tells_is_kept_apart_from_what_its_children_tell() -> None:
    heard, parent, began = Hearing(), new_id(), datetime.now(UTC)
    other = new_id()
    for seconds, state in ((0, "queued"), (10, "running"), (11, "running"), (13, "completed")):
        heard.take(_message(parent, JobState(state), began + timedelta(seconds=seconds)))
    for seconds in (10, 12):
        heard.take(_message(new_id(), JobState.COMPLETED, began + timedelta(seconds=seconds), parent=parent))
    heard.take(_message(other, JobState.RUNNING, began))
    heard.take(b'{"v": 1, "type": "snapshot", "jobs": []}')
    told = heard.of(str(parent), 1.0)
    assert (told.messages, told.about_parent, told.about_children) == (8, 4, 2)
    assert (told.least_gap, told.parent_per_second) == (1.0, round(2 / 3, 3)), "the wait before the first child is none"
    assert heard.working_seconds(str(parent)) == 2
    assert heard.has_ended(str(parent))
    assert not heard.has_ended(str(other))


def _message(job_id: UUID, state: JobState, at: datetime, parent: UUID | None = None) -> bytes:
    return events.encode(
        JobMessage(
            id=f"{job_id}:1",
            type=events.type_of(state, is_parent=parent is None),
            tenant_id=new_id(),
            job_id=job_id,
            kind="document.simulate",
            parent_id=parent,
            document_id=None,
            document_name=None,
            state=state,
            stage=str(state),
            progress=0,
            message=None,
            details={},
            eta_seconds=None,
            error=None,
            attempt=1,
            seq=1,
            timestamp=at,
        )
    )


def _shown(report: object) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table_of(msgspec.convert(report, ProjectsReport)))
    return captured.get()
