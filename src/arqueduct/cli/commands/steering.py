"""`arqueduct jobs cancel|pause|resume|retry`: of jobs that are named, or of all that a filter finds."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli import server
from arqueduct.cli.client import Body, connect
from arqueduct.cli.options import ApiKey, DataDir, Json, Url
from arqueduct.cli.output import out, print_error, print_json, reporting
from arqueduct.cli.server import Server
from arqueduct.cli.words import counted
from arqueduct.errors import ArqueductError, NotAuthenticated, SetupError
from arqueduct.lifecycle import Action, JobState

__all__ = ["FILTER", "HELP", "TIME", "command_of"]

HELP = {
    Action.CANCEL: "Cancel jobs: waiting ones at once, running ones within moments.",
    Action.PAUSE: "Put jobs aside until `resume`; what they have done is kept.",
    Action.RESUME: "Put paused jobs back into the queue.",
    Action.RETRY: "Queue failed or cancelled jobs again; what they have paid for is kept.",
}
DONE = {
    Action.CANCEL: "cancelled",
    Action.PAUSE: "paused",
    Action.RESUME: "back in the queue",
    Action.RETRY: "back in the queue",
}

FILTER = "Or all that fit"


def _moment(given: str) -> str:
    """With an offset: a time that has none is local."""
    try:
        return datetime.fromisoformat(given).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "a time is 2026-11-22, 2026-11-22T14:30, or with an offset: 2026-11-22T14:30Z"
        ) from None


TIME: dict[str, Any] = {"parser": _moment, "metavar": "TIME"}


def _filter(name: str, help: str, **more: Any) -> Any:
    return typer.Option(name, help=help, rich_help_panel=FILTER, **more)


def command_of(action: Action) -> Callable[..., None]:
    """The command that asks for `action`."""

    def command(
        job: Annotated[list[UUID] | None, typer.Argument(metavar="JOB", help="Ids of jobs.")] = None,
        state: Annotated[list[JobState] | None, _filter("--state", "In this state; may be repeated.")] = None,
        kind: Annotated[list[str] | None, _filter("--kind", "Of this kind; may be repeated.")] = None,
        document: Annotated[list[UUID] | None, _filter("--document", "Of this document; may be repeated.")] = None,
        error_code: Annotated[str | None, _filter("--error-code", "Whose newest error has this code.")] = None,
        created_after: Annotated[str | None, _filter("--created-after", "After this day or time.", **TIME)] = None,
        created_before: Annotated[str | None, _filter("--created-before", "Before this day or time.", **TIME)] = None,
        everything: Annotated[bool, _filter("--all", "Every job whose state allows it.")] = False,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
    ) -> None:
        fields = {
            "states": state or None,
            "kinds": kind or None,
            "document_ids": [str(wanted) for wanted in document or ()] or None,
            "error_code": error_code,
            "created_after": created_after,
            "created_before": created_before,
        }
        wanted = {name: value for name, value in fields.items() if value is not None}
        if sum(map(bool, (job, wanted, everything))) != 1:
            raise typer.BadParameter("Say which jobs: their ids, or a filter, or --all.")
        with reporting(json=json):
            chosen = server.find(url, api_key, data_dir)
            if not job:
                body = {"all": True} if everything else wanted
                _print_many(action, asyncio.run(_many(chosen, action, body)), json=json)
            elif not asyncio.run(_each(chosen, action, job, json=json)):
                raise typer.Exit(1)

    return command


async def _each(chosen: Server, action: Action, jobs: Sequence[UUID], *, json: bool) -> bool:
    """One after the other; what one's state does not allow hinders no other. Whether all could be done."""
    is_good = True
    async with connect(chosen) as client:
        for job in dict.fromkeys(jobs):
            try:
                found = await client.post(f"/jobs/{job}/{action}")
            except (SetupError, NotAuthenticated):
                raise
            except ArqueductError as error:
                is_good = False
                print_error(_about(job, error) if len(jobs) > 1 else error, json=json)
            else:
                _print_one(action, found, json=json)
    return is_good


async def _many(chosen: Server, action: Action, wanted: Body) -> Body:
    async with connect(chosen) as client:
        return await client.post(f"/jobs/{action}", wanted)


def _print_many(action: Action, done: Body, *, json: bool) -> None:
    if json:
        print_json(done)
        return
    said = [f"{counted(done['changed'], 'job')} {DONE[action]}"]
    if done["asked"]:
        said.append(f"{counted(done['asked'], 'running job')} asked to stop")
    if done["remaining"]:
        said.append(f"{done['remaining']:,} left: run it again")
    out.print(Text(f"{', '.join(said)}."), soft_wrap=True)


def _print_one(action: Action, found: Body, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    stopping = action in (Action.CANCEL, Action.PAUSE) and found["state"] == JobState.RUNNING
    out.print(Text(f"{found['id']} is {found['state']}{', and was asked to stop' if stopping else ''}."))


def _about(job: UUID, error: ArqueductError) -> ArqueductError:
    """The same error, naming which of several jobs it is about."""
    return type(error)(f"{job}: {error.message}", advice=error.advice)
