"""`arqueduct jobs`: what runs, what has run, and what to do about it."""

from typing import Annotated
from uuid import UUID

import typer

from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body, Client
from arqueduct.cli.commands.steering import HELP, command_of
from arqueduct.cli.job_tables import print_attempts, print_job, print_jobs, print_tracebacks
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Quiet, Url, examples
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.watching import watch_jobs
from arqueduct.lifecycle import Action, JobState

__all__ = ["jobs"]

jobs = typer.Typer(
    name="jobs", help="See jobs, follow them, cancel, pause, resume and retry them.", no_args_is_help=True
)

JobId = Annotated[UUID, typer.Argument(metavar="JOB", help="Id of the job.")]


@jobs.command(name="ls", epilog=examples("jobs ls", "jobs ls --state failed --limit 100"))
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only this kind, such as document.ingest or webhook.deliver.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first, and why those wait that do."""
    with reporting(json=json):
        found = ask(url, api_key, data_dir, lambda client: _list(client, state, kind, limit))
        if json:
            print_json({"items": found})
        elif found:
            print_jobs(found)
        else:
            out.print("There are no jobs.")


@jobs.command(epilog=examples(f"jobs get {SOME_ID}"))
def get(job: JobId, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one job with its history."""
    with reporting(json=json):
        found = ask(url, api_key, data_dir, lambda client: _get(client, job))
        if json:
            print_json(found)
        else:
            print_job(found)


@jobs.command(epilog=examples("jobs watch", f"jobs watch {SOME_ID} --json"))
def watch(
    job: Annotated[list[UUID] | None, typer.Argument(metavar="JOB", help="Ids; none: all unfinished.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Follow jobs to their end. Exit status 1 if one did not complete."""
    with reporting(json=json):
        is_good = ask(url, api_key, data_dir, lambda client: watch_jobs(client, job or [], json=json, quiet=quiet))
    if not is_good:
        raise typer.Exit(1)


@jobs.command(epilog=examples(f"jobs attempts {SOME_ID} --traceback"))
def attempts(
    job: JobId,
    traceback: Annotated[bool, typer.Option("--traceback", help="With the tracebacks of errors.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List who ran a job and how each attempt ended, the oldest first."""
    with reporting(json=json):
        found = ask(url, api_key, data_dir, lambda client: client.get(f"/jobs/{job}/attempts"))["items"]
        if json:
            print_json({"items": found if traceback else [one | {"traceback": None} for one in found]})
        elif not found:
            out.print("No worker has taken it yet.")
        else:
            print_attempts(found)
            if traceback:
                print_tracebacks(found)


for action in Action:
    jobs.command(
        name=action,
        help=HELP[action],
        epilog=examples(
            f"jobs {action} {SOME_ID}", f"jobs {action} --kind document.ingest --created-before 2026-11-22"
        ),
    )(command_of(action))


async def _list(client: Client, state: JobState | None, kind: str | None, limit: int) -> list[Body]:
    return [job async for job in client.pages("/jobs", limit, state=state, kind=kind)]


async def _get(client: Client, job: UUID) -> Body:
    found = await client.get(f"/jobs/{job}")
    return {**found, "events": [event async for event in client.pages(f"/jobs/{job}/events", 500)]}
