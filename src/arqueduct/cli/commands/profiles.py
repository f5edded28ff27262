"""`arqueduct profiles` and `arqueduct pipelines`: how documents are processed, and what there is to choose from."""

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arqueduct.cli import people
from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body, Client
from arqueduct.cli.known_profiles import find_profile
from arqueduct.cli.options import ApiKey, DataDir, Json, Quiet, Url, examples, label
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.words import age_of, moment
from arqueduct.errors import InvalidRequest

__all__ = ["pipelines", "profiles"]

profiles = typer.Typer(
    name="profiles", help="See and make processing profiles: named settings, in versions.", no_args_is_help=True
)

COLUMNS = {"id": "Profile", "name": "Name", "version": "Version", "pipeline": "Pipeline", "age": "Age"}
STDIN = Path("-")


def _file_or_pipe(given: str) -> Path:
    """typer's own check of what exists does not know `-`."""
    if given != str(STDIN) and not Path(given).is_file():
        raise typer.BadParameter(f"there is no file {given}")
    return Path(given)


File = Annotated[
    Path,
    typer.Option("--file", parser=_file_or_pipe, metavar="FILE", help="Settings as JSON; `-`: from a pipe."),
]


@profiles.command(name="ls", epilog=examples("profiles ls"))
def list_profiles(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 100,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List profiles, the newest first, and below them `default`, which is built in and not among those of --json."""

    async def look(client: Client) -> tuple[list[Body], Body]:
        made = [found async for found in client.pages("/profiles", limit)]
        return made, await client.get("/profiles/default")

    with reporting(json=json):
        found, built_in = ask(url, api_key, data_dir, look)
        if json:
            print_json({"items": found})
        else:
            people.table(COLUMNS, [_row(one) for one in (*found, built_in)])


@profiles.command(epilog=examples("profiles get default", "profiles get 'long passages' --json"))
def get(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Id or name; `default` is built in.")],
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show a profile as it is now, with its settings as `create` takes them."""

    async def look(client: Client) -> Body:
        return await find_profile(client, profile)

    with reporting(json=json):
        found = ask(url, api_key, data_dir, look)
        if json:
            print_json(found)
            return
        names = ("id", "name", "description", "version", "created_at", "archived_at")
        known = {name: found[name] for name in names if found.get(name) is not None}
        people.facts({name: moment(value) if name.endswith("_at") else value for name, value in known.items()})
        out.print(Text(f"\n{_indented(found['settings'])}"), soft_wrap=True)


@profiles.command(epilog=examples("profiles create 'long passages' --file settings.json"))
def create(
    name: Annotated[str, typer.Argument(parser=label, metavar="NAME", help="Of the profile.")],
    file: File,
    description: Annotated[
        str | None, typer.Option(parser=label, metavar="TEXT", help="What it is for.", show_default=False)
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a profile. Its settings are checked against what the workers have installed."""
    with reporting(json=json):
        wanted = {"name": name, "description": description, "settings": _settings(file)}

        async def act(client: Client) -> Body:
            return await client.post("/profiles", wanted)

        made = ask(url, api_key, data_dir, act)
        if json:
            print_json(made)
        elif not quiet:
            out.print(
                Text(f"{made['name']} ({made['id']}) is made, version {made['version']}."),
                soft_wrap=not out.is_terminal,
            )


@profiles.command(epilog=examples("profiles validate --file settings.json"))
def validate(
    file: File,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what is wrong with settings, and keep nothing. Exit status 1 if something is."""
    with reporting(json=json):
        settings = _settings(file)

        async def act(client: Client) -> Body:
            return await client.post("/profiles/validate", {"settings": settings})

        verdict = ask(url, api_key, data_dir, act)
        if json:
            print_json(verdict)
        else:
            _tell(verdict, err if quiet else out, quiet=quiet)
    if not verdict["is_valid"]:
        raise typer.Exit(1)


def pipelines(
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List pipelines that the workers have installed, their stages, and the options of each stage."""

    async def look(client: Client) -> Body:
        return await client.get("/pipelines")

    with reporting(json=json):
        found = ask(url, api_key, data_dir, look)
        if json:
            print_json(found)
            return
        for pipeline in found["pipelines"]:
            _print_pipeline(pipeline)
        out.print(Text(f"Embedding model: {found['embedder']}"), soft_wrap=True)


def _settings(file: Path) -> Any:
    """Raises `InvalidRequest` for what is no JSON."""
    try:
        text = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return msgspec.json.decode(text)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{file} is no JSON: {error}",
            advice="Give the settings of a profile; `arqueduct profiles get default` shows what they look like.",
        ) from error


def _tell(verdict: Body, console: Console, *, quiet: bool) -> None:
    for fault in verdict["errors"]:
        console.print(Text(f"{fault['pointer']}: {fault['detail']}"), soft_wrap=not console.is_terminal)
    if verdict["is_valid"] and not quiet:
        console.print("A profile can be made of these settings.")


def _print_pipeline(pipeline: Body) -> None:
    out.print(Text(pipeline["kind"], "bold"))
    out.print(Text(" ".join(pipeline["about"].split())), soft_wrap=not out.is_terminal)
    out.print(Text(f"Runs {' → '.join(pipeline['stages'])}", "dim"), soft_wrap=not out.is_terminal)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    for stage in pipeline["choice"]:
        options = ", ".join((stage["options"] or {}).get("properties", {}))
        rows.add_row(f"  {stage['name']}", Text(" ".join(stage["about"].split())))
        if options:
            rows.add_row("", Text(f"options: {options}", "dim"))
    out.print(rows)
    out.print()


def _row(profile: Body) -> Body:
    made = profile.get("created_at")
    age = age_of(made) if made else "built in"
    return {"id": "–", **profile, "pipeline": profile["settings"]["pipeline"], "age": age}


def _indented(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
