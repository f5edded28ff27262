"""`arqueduct documents archive|restore`: putting documents away, and bringing them back."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli import server
from arqueduct.cli.client import Body, connect
from arqueduct.cli.options import ApiKey, DataDir, Json, Url, examples
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.server import Server

__all__ = ["documents"]

documents = typer.Typer(name="documents", help="Put documents away, and bring them back.", no_args_is_help=True)

SOME_ID = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"
Ids = Annotated[list[UUID], typer.Argument(metavar="DOCUMENT", help="Ids of documents.")]


@documents.command(epilog=examples(f"documents archive {SOME_ID}"))
def archive(
    document: Ids, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Take documents out of search and their files to a cold place; no model is needed to bring them back."""
    with reporting(json=json):
        _print(asyncio.run(_ask(server.find(url, api_key, data_dir), "archive", document)), json=json)


@documents.command(epilog=examples(f"documents restore {SOME_ID}"))
def restore(
    document: Ids, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Bring archived documents back: their files, and into search."""
    with reporting(json=json):
        _print(asyncio.run(_ask(server.find(url, api_key, data_dir), "restore", document)), json=json)


async def _ask(chosen: Server, action: str, ids: Sequence[UUID]) -> list[Body]:
    async with connect(chosen) as client:
        return [await client.post(f"/documents/{document}/{action}") for document in dict.fromkeys(ids)]


def _print(jobs: Sequence[Body], *, json: bool) -> None:
    if json:
        print_json({"items": jobs})
        return
    for job in jobs:
        out.print(Text(f"{job['document_id']}: job {job['id']} is {job['state']}."), soft_wrap=True)
