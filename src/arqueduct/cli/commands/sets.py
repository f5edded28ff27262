"""`arqueduct sets`: many files as one."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli import people
from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body, Client
from arqueduct.cli.found_files import noting, readable
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Quiet, Url, examples, label
from arqueduct.cli.output import err, out, print_json, reporting
from arqueduct.cli.set_bar import refused, tell_refused, upload
from arqueduct.cli.set_uploads import named_files
from arqueduct.cli.words import age_of, counted, moment, size

__all__ = ["sets"]

sets = typer.Typer(
    name="sets", help="Make sets of files, fill them, look at them and remove them.", no_args_is_help=True
)

SetId = Annotated[UUID, typer.Argument(metavar="SET", help="Id of the file set.")]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH", exists=True, help="Files and whole folders.")]
COLUMNS = {"id": "Set", "name": "Name", "created_at": "Age"}
FILES = {"document_id": "Document", "path": "Path", "status": "Status"}


@sets.command(name="ls", epilog=examples("sets ls", "sets ls --limit 100 --json"))
def list_sets(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List file sets, the newest first."""

    async def look(client: Client) -> list[Body]:
        return [found async for found in client.pages("/file-sets", limit)]

    with reporting(json=json):
        found = ask(url, api_key, data_dir, look)
        if json:
            print_json({"items": found})
        elif found:
            people.table(COLUMNS, [{**one, "created_at": age_of(one["created_at"])} for one in found])
        else:
            out.print("There are no file sets.")


@sets.command(epilog=examples("sets create contracts/ --name 'Contracts 2026'", "sets create a.pdf b.pdf"))
def create(
    paths: Paths,
    name: Annotated[
        str | None, typer.Option(parser=label, metavar="NAME", help="Of the set; that of the first path unless told.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a set out of files and folders; files of folders keep their paths.

    Hidden files, and links that lead out of a folder, are left out of folders. Nothing is processed yet. Exit status 1
    if a file was not accepted.
    """

    async def act(client: Client) -> Body:
        fields = {
            "name": name or readable(paths[0].resolve().name),
            **({"description": description} if description else {}),
        }
        files = named_files(paths, noting(json=json))
        made = await client.post_form("/file-sets", **fields)
        return {**made, "files": await upload(client, made["id"], files, is_silent=json or quiet)}

    with reporting(json=json):
        made = ask(url, api_key, data_dir, act)
        _tell(made, json=json, quiet=quiet)


@sets.command(epilog=examples(f"sets add {SOME_ID} more/"))
def add(
    file_set: SetId,
    paths: Paths,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put more files and folders into a set. Exit status 1 if a file was not accepted."""

    async def act(client: Client) -> Body:
        known = await client.get(f"/file-sets/{file_set}")
        files = named_files(paths, noting(json=json))
        return {**known, "files": await upload(client, known["id"], files, is_silent=json or quiet)}

    with reporting(json=json):
        _tell(ask(url, api_key, data_dir, act), json=json, quiet=quiet)


@sets.command(epilog=examples(f"sets get {SOME_ID}", f"sets get {SOME_ID} --files 1000 --json"))
def get(
    file_set: SetId,
    files: Annotated[int, typer.Option(min=0, help="How many of its files to list.")] = 20,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show a set: its numbers, and its files with their status."""

    async def look(client: Client) -> Body:
        known = await client.get(f"/file-sets/{file_set}")
        known["statistics"] = await client.get(f"/file-sets/{file_set}/statistics")
        listed = client.pages(f"/file-sets/{file_set}/files", files)
        known["files"] = [file async for file in listed] if files else []
        return known

    with reporting(json=json):
        found = ask(url, api_key, data_dir, look)
        if json:
            print_json(found)
            return
        told = found["statistics"]
        people.facts(_facts(found) | _amounts(told["total"]))
        people.facts({status: counted(amounts["files"], "file") for status, amounts in told["by_status"].items()})
        if found["files"]:
            people.table(FILES, [_file(file) for file in found["files"]])


@sets.command(epilog=examples(f"sets rm {SOME_ID}", f"sets rm {SOME_ID} --documents"))
def rm(
    file_set: SetId,
    documents: Annotated[
        bool, typer.Option("--documents", help="Also its documents, as far as they are in no other set.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Remove a set. Its documents stay unless told otherwise."""

    async def act(client: Client) -> None:
        await client.delete(f"/file-sets/{file_set}", documents=str(documents).lower())

    with reporting(json=json):
        ask(url, api_key, data_dir, act)
        if json:
            print_json({"id": file_set, "event": "removed", "documents": documents})
        else:
            out.print(f"File set {file_set} is removed.")


def _tell(made: Body, *, json: bool, quiet: bool) -> None:
    """Raises `Exit` if a file was refused."""
    if json:
        print_json(made)
    else:
        tell_refused(made["files"], err if quiet else out)
        if not quiet:
            left_out = len(refused(made["files"]))
            accepted = counted(len(made["files"]) - left_out, "file")
            more = f", {left_out:,} not accepted" if left_out else ""
            out.print(Text(f"{made['name']} ({made['id']}): {accepted} accepted{more}."), soft_wrap=True)
    if refused(made["files"]):
        raise typer.Exit(1)


def _facts(found: Body) -> dict[str, Any]:
    names = ("id", "name", "description", "created_at", "archived_at")
    known = {name: found[name] for name in names if found[name] is not None}
    return {name: moment(value) if name.endswith("_at") else value for name, value in known.items()}


def _amounts(total: Body) -> dict[str, str]:
    return {name: size(amount) if name == "bytes" else f"{amount:,}" for name, amount in total.items()}


def _file(file: Body) -> dict[str, Any]:
    return {"document_id": file["document"]["id"], "path": file["path"], "status": file["document"]["status"]}
