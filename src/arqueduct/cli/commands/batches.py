"""`arqueduct batches`: the same job for many documents."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli.asking import ask
from arqueduct.cli.client import Client
from arqueduct.cli.commands.families import (
    OnErrors,
    ProfileName,
    Threshold,
    Watch,
    add_commands,
    asked,
    follow,
)
from arqueduct.cli.commands.steering import FILTER, TIME
from arqueduct.cli.family import BATCH
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Quiet, Url, examples, label
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.words import counted
from arqueduct.families import OnError
from arqueduct.formats import Format

__all__ = ["batches"]

batches = typer.Typer(
    name="batches", help="Do the same to many documents, see how it goes, and steer it.", no_args_is_help=True
)


class FileType(StrEnum):
    """The names of `Format`, as one types them."""

    PDF = "pdf"
    DOCX = "docx"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"


class Status(StrEnum):
    """Of a document."""

    UPLOADED = "uploaded"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@batches.command(
    epilog=examples(
        "batches create --status failed --type pdf --watch",
        f"batches create --ids {SOME_ID} --profile long",
    )
)
def create(
    ids: Annotated[
        list[str] | None, typer.Option("--ids", metavar="ID,…", help="Of documents, by commas; may be repeated.")
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(
            "--status", metavar="STATUS", help="Such as failed or uploaded; may be repeated.", rich_help_panel=FILTER
        ),
    ] = None,
    file_type: Annotated[
        list[FileType] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="One of pdf, docx, html, markdown and text; may be repeated.",
            rich_help_panel=FILTER,
        ),
    ] = None,
    file_set: Annotated[
        UUID | None, typer.Option("--set", metavar="SET", help="In this file set.", rich_help_panel=FILTER)
    ] = None,
    project: Annotated[
        UUID | None,
        typer.Option("--project", metavar="PROJECT", help="In the newest run of it.", rich_help_panel=FILTER),
    ] = None,
    error_code: Annotated[
        str | None, typer.Option("--error-code", help="Whose newest job has this code.", rich_help_panel=FILTER)
    ] = None,
    created_after: Annotated[
        str | None, typer.Option("--created-after", help="After this day or time.", rich_help_panel=FILTER, **TIME)
    ] = None,
    created_before: Annotated[
        str | None, typer.Option("--created-before", help="Before this day or time.", rich_help_panel=FILTER, **TIME)
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every document of the tenant.", rich_help_panel=FILTER)
    ] = False,
    action: Annotated[str, typer.Option("--action", metavar="KIND", help="Of the jobs.")] = "document.ingest",
    name: Annotated[str, typer.Option("--name", parser=label, metavar="NAME", help="Of the batch.")] = "batch",
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
    """Make a job for each document that is named, or that fits a filter now.

    Exit status 1 with --watch if not all completed.
    """
    fields = {
        "statuses": status or None,
        "content_types": [Format[one.name] for one in file_type or ()] or None,
        "file_set_id": file_set and str(file_set),
        "project_id": project and str(project),
        "error_code": error_code,
        "created_after": created_after,
        "created_before": created_before,
    }
    wanted = {field: value for field, value in fields.items() if value is not None}
    if sum(map(bool, (ids, wanted, everything))) != 1:
        raise typer.BadParameter("Say which documents: --ids, or a filter, or --all.")
    which = {"document_ids": _ids(ids)} if ids else {"filter": wanted}

    async def act(client: Client) -> bool:
        body = {"action": action, "name": name, **which, **asked(profile, on_error, threshold)}
        made = await client.post("/batches", body)
        if json:
            print_json(made)
        elif not quiet:
            batch = made["batch"]
            said = f"{batch['name']} ({batch['id']}): {counted(batch['documents'], 'document')} to process."
            out.print(Text(said), soft_wrap=not out.is_terminal)
        return not watch or await follow(client, BATCH, made["batch"]["id"], json=json, quiet=quiet)

    with reporting(json=json):
        is_good = ask(url, api_key, data_dir, act)
    if not is_good:
        raise typer.Exit(1)


add_commands(batches, BATCH)


def _ids(given: Sequence[str]) -> list[str]:
    return [_id(one.strip()) for several in given for one in several.split(",") if one.strip()]


def _id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError:
        raise typer.BadParameter(f"{given} is no id: give those of documents, by commas.") from None
