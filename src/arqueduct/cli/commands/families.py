"""What `arqueduct projects` and `arqueduct batches` both can: ls, get, watch, errors, cancel, pause, resume, retry."""

from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli import family_views
from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body, Client
from arqueduct.cli.error_table import Code, Csv, Most, report
from arqueduct.cli.family import Kin, children, look, name_of, said_of
from arqueduct.cli.family_status import print_families, print_status
from arqueduct.cli.family_watch import watch_family
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Quiet, Url, examples
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.families import OnError
from arqueduct.lifecycle import Action, JobState

__all__ = [
    "OnErrors",
    "ProfileName",
    "Threshold",
    "Watch",
    "add_commands",
    "asked",
    "follow",
    "id_of",
    "print_acted",
]

ProfileName = Annotated[
    str | None, typer.Option("--profile", metavar="PROFILE", help="Id or name; the built-in one unless told.")
]
OnErrors = Annotated[
    OnError, typer.Option("--on-error", help="Whether the others go on once more failed than the threshold allows.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0,
        max=1,
        help="Share that may fail before all of it counts as failed; 1 with `continue`, 0 with `stop_on_error`.",
        show_default=False,
    ),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")]

HELP = {
    Action.CANCEL: "Cancel it: what waits at once, what runs within moments; what is completed stays.",
    Action.PAUSE: "Put it aside until `resume`; what is done is kept.",
    Action.RESUME: "Put what was paused back into the queue.",
}


def id_of(kin: Kin) -> Any:
    """The argument that names one."""
    return typer.Argument(metavar=kin.noun.upper(), help=f"Id of the {kin.noun}.")


def asked(profile: str | None, on_error: OnError, threshold: float | None) -> Body:
    """What the API is told of how to process."""
    policy = {"on_error": on_error, "threshold": threshold}
    return {"profile": profile, "policy": {name: value for name, value in policy.items() if value is not None}}


async def follow(client: Client, kin: Kin, family_id: UUID | str, *, json: bool, quiet: bool) -> bool:
    """Shows it to its end. Whether all of it completed."""
    return await watch_family(client, kin, family_id, family_views.choose(kin, json=json, quiet=quiet))


def print_acted(found: Body, kin: Kin, action: Action) -> None:
    """What became of what was asked."""
    running = found["counts"]["running"]
    stops = action in (Action.CANCEL, Action.PAUSE) and running
    more = f"; {running:,} running asked to stop" if stops else ""
    said = f"{found['name']} is {said_of(found['state'])}: {children(found['counts'], kin.unit)}{more}."
    out.print(Text(said), soft_wrap=not out.is_terminal)


def add_commands(group: typer.Typer, kin: Kin) -> None:
    """To the group of one of the two."""
    _add_list(group, kin)
    _add_get(group, kin)
    _add_watch(group, kin)
    _add_errors(group, kin)
    _add_retry(group, kin)
    for action in HELP:
        _add_action(group, kin, action)


def _add_list(group: typer.Typer, kin: Kin) -> None:
    @group.command(
        name="ls",
        help=f"List {kin.group}, the newest first.",
        epilog=examples(f"{kin.group} ls", f"{kin.group} ls --limit 100 --json"),
    )
    def list_families(
        limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
    ) -> None:
        async def find(client: Client) -> list[Body]:
            return [found async for found in client.pages(kin.path, limit)]

        with reporting(json=json):
            found = ask(url, api_key, data_dir, find)
            if json:
                print_json({"items": found})
            elif found:
                print_families(found, kin)
            else:
                out.print(f"There are no {kin.group}.")


def _add_get(group: typer.Typer, kin: Kin) -> None:
    @group.command(
        help=f"Show how a {kin.noun} stands: counts, pace, time left, cost, what failed and what was slow.",
        epilog=examples(f"{kin.group} get {SOME_ID}", f"{kin.group} get {SOME_ID} --files 100 --state running"),
    )
    def get(
        family_id: Annotated[UUID, id_of(kin)],
        files: Annotated[int, typer.Option("--files", min=0, help=f"How many {kin.unit}s to list.")] = 0,
        state: Annotated[JobState | None, typer.Option("--state", help="List only those in this state.")] = None,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
    ) -> None:
        async def find(client: Client) -> tuple[Body, list[Body]]:
            found = await look(client, kin, family_id, state=state)
            most = files or (50 if state else 0)
            pages = client.pages(f"{kin.path}/{family_id}/files", most, state=state)
            return found, [file async for file in pages] if most else []

        with reporting(json=json):
            found, listed = ask(url, api_key, data_dir, find)
            if json:
                print_json({**found, "files": {**found["files"], "items": listed}} if listed else found)
            else:
                print_status(found, kin, listed)


def _add_watch(group: typer.Typer, kin: Kin) -> None:
    @group.command(
        help=f"Follow a {kin.noun} to its end. Exit status 1 if not all of it completed.",
        epilog=examples(f"{kin.group} watch {SOME_ID}", f"{kin.group} watch {SOME_ID} --json"),
    )
    def watch(
        family_id: Annotated[UUID, id_of(kin)],
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        async def act(client: Client) -> bool:
            return await follow(client, kin, family_id, json=json, quiet=quiet)

        with reporting(json=json):
            is_good = ask(url, api_key, data_dir, act)
        if not is_good:
            raise typer.Exit(1)


def _add_errors(group: typer.Typer, kin: Kin) -> None:
    @group.command(
        help=f"List what failed in a {kin.noun}, where, why, and what to do.",
        epilog=examples(f"{kin.group} errors {SOME_ID}", f"{kin.group} errors {SOME_ID} --csv errors.csv"),
    )
    def errors(
        family_id: Annotated[UUID, id_of(kin)],
        code: Code = None,
        csv: Csv = None,
        limit: Most = 50,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        async def act(client: Client) -> None:
            path = f"{kin.path}/{family_id}/errors"
            await report(client, path, csv, limit, json=json, quiet=quiet, error_code=code)

        with reporting(json=json):
            ask(url, api_key, data_dir, act)


def _add_action(group: typer.Typer, kin: Kin, action: Action) -> None:
    @group.command(name=action, help=HELP[action], epilog=examples(f"{kin.group} {action} {SOME_ID}"))
    def command(
        family_id: Annotated[UUID, id_of(kin)],
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        async def act(client: Client) -> Body:
            done = await client.post(f"{kin.path}/{family_id}/{action}")
            return {"name": await name_of(client, kin, family_id), **done}

        with reporting(json=json):
            found = ask(url, api_key, data_dir, act)
            if json:
                print_json(found)
            elif not quiet:
                print_acted(found, kin, action)


def _add_retry(group: typer.Typer, kin: Kin) -> None:
    @group.command(
        help=(
            f"Put {kin.unit}s that failed back into the queue; of a {kin.noun} that was itself cancelled also those "
            "cancelled with it. What they have paid for is kept."
        ),
        epilog=examples(
            f"{kin.group} retry {SOME_ID}", f"{kin.group} retry {SOME_ID} --code dependency_unavailable --watch"
        ),
    )
    def retry(
        family_id: Annotated[UUID, id_of(kin)],
        code: Code = None,
        cancelled: Annotated[bool, typer.Option("--cancelled", help="Also those that were cancelled.")] = False,
        watch: Watch = False,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = None,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        async def act(client: Client) -> bool:
            choice = {**({"error_code": code} if code else {}), **({"with_cancelled": True} if cancelled else {})}
            done = await client.post(f"{kin.path}/{family_id}/retry", choice or None)
            found = {"name": await name_of(client, kin, family_id), **done}
            if json:
                print_json(found)
            elif not quiet:
                print_acted(found, kin, Action.RETRY)
            return not watch or await follow(client, kin, family_id, json=json, quiet=quiet)

        with reporting(json=json):
            is_good = ask(url, api_key, data_dir, act)
        if not is_good:
            raise typer.Exit(1)
