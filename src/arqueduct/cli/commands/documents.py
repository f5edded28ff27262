"""`arqueduct documents archive|restore`: putting documents away, and bringing them back."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli.asking import ask, one_by_one
from arqueduct.cli.client import Body, Client
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Url, examples
from arqueduct.cli.output import out, print_json, reporting

__all__ = ["documents"]

documents = typer.Typer(name="documents", help="Put documents away, and bring them back.", no_args_is_help=True)

Ids = Annotated[list[UUID], typer.Argument(metavar="DOCUMENT", help="Ids of documents.")]


@documents.command(epilog=examples(f"documents archive {SOME_ID}"))
def archive(
    document: Ids, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Take documents out of search and their files to a cold place; no model is needed to bring them back.

    What one does not allow hinders no other; exit status 1 then.
    """
    _move("archive", document, url, api_key, data_dir, json=json)


@documents.command(epilog=examples(f"documents restore {SOME_ID}"))
def restore(
    document: Ids, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False
) -> None:
    """Bring archived documents back: their files, and into search.

    What one does not allow hinders no other; exit status 1 then.
    """
    _move("restore", document, url, api_key, data_dir, json=json)


def _move(
    action: str, ids: list[UUID], url: str | None, api_key: str | None, data_dir: Path | None, *, json: bool
) -> None:
    jobs: list[Body] = []

    async def act(client: Client) -> bool:
        paths = ((document, f"/documents/{document}/{action}") for document in ids)
        return await one_by_one(client, paths, jobs.append if json else _print, json=json)

    with reporting(json=json):
        try:
            is_good = ask(url, api_key, data_dir, act)
        finally:
            if jobs:
                print_json({"items": jobs})
        if not is_good:
            raise typer.Exit(1)


def _print(job: Body) -> None:
    out.print(Text(f"{job['document_id']}: job {job['id']} is {job['state']}."), soft_wrap=True)
