"""`arqueduct ingest`: documents from disk, followed to their end."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from arqueduct.cli import server
from arqueduct.cli.client import connect
from arqueduct.cli.found_files import find_files, noting
from arqueduct.cli.options import ApiKey, DataDir, Json, Quiet, Url
from arqueduct.cli.output import reporting
from arqueduct.cli.server import Server
from arqueduct.cli.uploads import Item, View, carry
from arqueduct.cli.views import choose
from arqueduct.errors import SetupError

__all__ = ["ingest"]

Urgency: TypeAlias = Literal["interactive", "normal", "bulk"]


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", exists=True, help="Files and whole folders.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the documents until they are done.")] = True,
    priority: Annotated[
        Urgency | None, typer.Option(help="Which of your own documents goes first; `bulk` waits for all others.")
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Upload documents and show how they are processed.

    Hidden files, and links that lead out of a folder, are left out of folders. Exit status 1 if a document failed or
    was not accepted.
    """
    with reporting(json=json):
        files = find_files(paths, noting(json=json))
        if not files:
            raise SetupError(
                "There are no files in what was named.",
                advice="Name files, or folders with some; hidden ones are left out of folders.",
            )
        view = choose(json=json, quiet=quiet)
        items = asyncio.run(_ingest(server.find(url, api_key, data_dir), files, view, wait=wait, priority=priority))
    if not all(item.is_good for item in items):
        raise typer.Exit(1)


async def _ingest(chosen: Server, files: list[Path], view: View, *, wait: bool, priority: Urgency | None) -> list[Item]:
    async with connect(chosen) as client:
        return await carry(client, files, view, wait=wait, priority=priority)
