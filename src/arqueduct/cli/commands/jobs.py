"""`arqueduct jobs`: what runs, what has run, and what to do about it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from arqueduct.cli import server
from arqueduct.cli.client import Body, Client, connect
from arqueduct.cli.options import ApiKey, DataDir, Json, Quiet, Url
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.server import Server
from arqueduct.cli.watching import watch_jobs
from arqueduct.cli.words import age
from arqueduct.lifecycle import UNFINISHED, JobState

__all__ = ["jobs"]

jobs = typer.Typer(name="jobs", help="See jobs, follow them, cancel and retry them.", no_args_is_help=True)

JobId = Annotated[UUID, typer.Argument(metavar="JOB", help="Id of the job.")]

STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


@jobs.command(name="ls")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with reporting(json=json):
        found = asyncio.run(_list(server.find(url, api_key, data_dir), state, limit))
        if json:
            print_json({"items": found})
        elif found:
            out.print(_table(found))
        else:
            out.print("There are no jobs.")


@jobs.command()
def get(job: JobId, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one job with its history."""
    with reporting(json=json):
        found = asyncio.run(_with(server.find(url, api_key, data_dir), lambda client: _get(client, job)))
        if json:
            print_json(found)
        else:
            _print_job(found)


@jobs.command()
def watch(
    job: Annotated[list[UUID] | None, typer.Argument(metavar="[JOB]…", help="Ids; none: all unfinished.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Follow jobs to their end. Exit status 1 if one did not complete."""
    with reporting(json=json):
        chosen = server.find(url, api_key, data_dir)
        is_good = asyncio.run(_with(chosen, lambda client: watch_jobs(client, job or [], json=json, quiet=quiet)))
    if not is_good:
        raise typer.Exit(1)


@jobs.command()
def cancel(job: JobId, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Cancel a job: a waiting one at once, a running one within moments."""
    _act(job, "cancel", server_of=lambda: server.find(url, api_key, data_dir), json=json)


@jobs.command()
def retry(job: JobId, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Queue a failed or cancelled job again; what it has paid for is kept."""
    _act(job, "retry", server_of=lambda: server.find(url, api_key, data_dir), json=json)


def _act(job: UUID, action: str, *, server_of: Callable[[], Server], json: bool) -> None:
    with reporting(json=json):
        found = asyncio.run(_with(server_of(), lambda client: client.post(f"/jobs/{job}/{action}")))
        if json:
            print_json(found)
        else:
            out.print(Text(f"{found['id']} is {found['state']}."))


async def _with(chosen: Server, act: Callable[[Client], Awaitable[Any]]) -> Any:
    async with connect(chosen) as client:
        return await act(client)


async def _list(chosen: Server, state: JobState | None, limit: int) -> list[Body]:
    async with connect(chosen) as client:
        return [job async for job in client.pages("/jobs", limit, state=state)]


async def _get(client: Client, job: UUID) -> Body:
    found = await client.get(f"/jobs/{job}")
    return {**found, "events": [event async for event in client.pages(f"/jobs/{job}/events", 500)]}


def _table(found: list[Body]) -> Table:
    said = [_what(job) for job in found]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("Job", "Kind", "State"):
        table.add_column(name, no_wrap=True)
    for name in ("%", "Age"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("Document", no_wrap=True, overflow="ellipsis", max_width=32)
    if any(said):
        table.add_column("What", overflow="fold")
    for job, what in zip(found, said, strict=True):
        old = datetime.now(UTC) - datetime.fromisoformat(job["created_at"])
        state = Text(job["state"], STYLES.get(job["state"], ""))
        cells = [job["id"], job["kind"], state, f"{job['progress']:.0%}".rstrip("%"), age(old.total_seconds())]
        cells.append(Text(job.get("document_name") or ""))
        table.add_row(*cells, *([what] if any(said) else []))
    return table


def _what(job: Body) -> Text:
    if job.get("error") and job["state"] != "completed":
        return Text(job["error"]["message"], "red" if job["state"] == "failed" else "yellow")
    if job["state"] in UNFINISHED:
        return Text(job.get("waiting_for") or job.get("message") or job["stage"], "dim")
    return Text("")


def _print_job(job: Body) -> None:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for name in (
        "id",
        "kind",
        "document_id",
        "document_name",
        "state",
        "stage",
        "attempt",
        "created_at",
        "started_at",
        "finished_at",
    ):
        if job.get(name) is not None:
            rows.add_row(name, Text(str(job[name]), STYLES.get(str(job[name]), "")))
    if error := job.get("error"):
        rows.add_row("error", Text(f"{error['code']}: {error['message']}", "red"))
        rows.add_row("advice", Text(error["advice"]))
    out.print(rows)
    history = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("Time", "Stage", "Progress", "Attempt", "Message"):
        history.add_column(name)
    for event in job["events"]:
        at = datetime.fromisoformat(event["timestamp"]).astimezone()
        history.add_row(
            f"{at:%H:%M:%S.%f}"[:-3],
            event["stage"],
            f"{event['progress']:.0%}",
            str(event["attempt"]),
            Text(event["message"] or ""),
        )
    out.print()
    out.print(history)
