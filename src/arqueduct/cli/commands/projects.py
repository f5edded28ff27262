"""`arqueduct projects`: a file set, processed as a whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body, Client
from arqueduct.cli.commands.families import (
    OnErrors,
    ProfileName,
    Threshold,
    Watch,
    add_commands,
    asked,
    follow,
    id_of,
)
from arqueduct.cli.family import PROJECT
from arqueduct.cli.found_files import noting
from arqueduct.cli.known_profiles import check_known
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Quiet, Url, examples, label
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.set_bar import refused, tell_refused, upload
from arqueduct.cli.set_uploads import named_files
from arqueduct.cli.words import counted
from arqueduct.errors import ArqueductError, SetupError
from arqueduct.families import OnError

__all__ = ["projects"]

projects = typer.Typer(
    name="projects", help="Process whole sets of files, see how it goes, and steer it.", no_args_is_help=True
)

ProjectId = Annotated[UUID, id_of(PROJECT)]


@projects.command(
    epilog=examples(
        "projects create 'Contracts 2026' contracts/ --watch",
        f"projects create Again --set {SOME_ID} --profile long",
    )
)
def create(
    name: Annotated[str, typer.Argument(parser=label, metavar="NAME", help="Of the project.")],
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", exists=True, help="Files and whole folders: a new set.")
    ] = None,
    file_set: Annotated[UUID | None, typer.Option("--set", metavar="SET", help="Or a file set that is there.")] = None,
    profile: ProfileName = None,
    on_error: OnErrors = OnError.CONTINUE,
    threshold: Threshold = None,
    watch: Watch = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Process files and folders, or a file set, as one; files of folders keep their paths.

    Exit status 1 if a file was not accepted, or with --watch if not all completed.
    """
    if bool(paths) == bool(file_set):
        raise typer.BadParameter("Say what to process: files and folders, or a set with --set.")

    async def act(client: Client) -> bool:
        wanted = {"name": name, **asked(profile, on_error, threshold)}
        files: list[Body] = []
        if file_set is not None:
            made = await client.post("/projects", {**wanted, "file_set_id": str(file_set)})
        else:
            await check_known(client, profile)
            made, files = await _with_new_set(client, wanted, paths or [], json=json, quiet=quiet)
        _tell_made(made, files, json=json, quiet=quiet)
        is_good = not watch or await follow(client, PROJECT, made["project"]["id"], json=json, quiet=quiet)
        return is_good and not refused(files)

    with reporting(json=json):
        is_good = ask(url, api_key, data_dir, act)
    if not is_good:
        raise typer.Exit(1)


@projects.command(epilog=examples(f"projects run {SOME_ID} --profile long --watch"))
def run(
    project: ProjectId,
    profile: ProfileName = None,
    on_error: OnErrors = OnError.CONTINUE,
    threshold: Threshold = None,
    watch: Watch = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Process the files of a project's set once more, as they are now, under this profile."""

    async def act(client: Client) -> bool:
        made = await client.post(f"/projects/{project}/runs", asked(profile, on_error, threshold))
        _tell_made(made, [], json=json, quiet=quiet)
        return not watch or await follow(client, PROJECT, project, json=json, quiet=quiet)

    with reporting(json=json):
        is_good = ask(url, api_key, data_dir, act)
    if not is_good:
        raise typer.Exit(1)


add_commands(projects, PROJECT)


async def _with_new_set(
    client: Client, wanted: Body, paths: Sequence[Path], *, json: bool, quiet: bool
) -> tuple[Body, list[Body]]:
    """The project, and what became of each file. A set in which no file was accepted does not stay."""
    named = named_files(paths, noting(json=json))
    made = await client.post_form("/file-sets", name=wanted["name"])
    files = await upload(client, made["id"], named, is_silent=json or quiet)
    if len(refused(files)) == len(files):
        await client.delete(f"/file-sets/{made['id']}")
        tell_refused(files, err)
        raise SetupError("No file was accepted, so there is no project.", advice="See above why.")
    try:
        return await client.post("/projects", {**wanted, "file_set_id": made["id"]}), files
    except ArqueductError as error:
        kept = f"{error.advice} The files are kept: `projects create NAME --set {made['id']}`."
        raise type(error)(error.message, advice=kept) from error


def _tell_made(made: Body, files: Sequence[Body], *, json: bool, quiet: bool) -> None:
    if json:
        print_json({**made, "files": files})
        return
    tell_refused(files, err if quiet else out)
    if not quiet:
        project, left_out = made["project"], len(refused(files))
        more = f", {left_out:,} not accepted" if left_out else ""
        said = f"{project['name']} ({project['id']}): {counted(project['files'], 'file')} to process{more}."
        out.print(Text(said), soft_wrap=not out.is_terminal)
