"""`arqueduct jobs cancel|pause|resume|retry`: of jobs that are named, or of all that a filter finds."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli.asking import ask, one_by_one
from arqueduct.cli.client import Body, Client
from arqueduct.cli.options import ApiKey, DataDir, Json, Url
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.words import counted
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

        async def act(client: Client) -> bool:
            if job:
                paths = ((one, f"/jobs/{one}/{action}") for one in job)
                return await one_by_one(client, paths, lambda found: _print_one(action, found, json=json), json=json)
            done = await client.post(f"/jobs/{action}", {"all": True} if everything else wanted)
            _print_many(action, done, json=json)
            return True

        with reporting(json=json):
            if not ask(url, api_key, data_dir, act):
                raise typer.Exit(1)

    return command


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
