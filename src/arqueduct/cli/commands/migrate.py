"""`arqueduct migrate`: the schema of the database."""

import asyncio
import sys
from typing import Annotated

import typer

from arqueduct import settings
from arqueduct.cli.options import DataDir, Json, Quiet, examples
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.owner import owner_database
from arqueduct.settings import Settings

__all__ = ["migrate"]

migrate = typer.Typer(
    name="migrate",
    help="Bring the database to a revision of the schema: the one of DATABASE_URL, else the embedded one.",
    no_args_is_help=True,
)


@migrate.command(epilog=examples("migrate up"))
def up(
    revision: Annotated[str, typer.Argument(help="Revision to reach.")] = "head",
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Apply what is missing, and register the embedding model."""
    with reporting(json=json), owner_database(effective := settings.load(data_dir=data_dir), make=True) as url:
        asyncio.run(_up(url, revision, effective))
        _tell(url, json=json, quiet=quiet)


@migrate.command(epilog=examples("migrate down --yes"))
def down(
    revision: Annotated[str, typer.Argument(help="Revision to go back to; -1 undoes one, `base` all.")] = "-1",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: tables are dropped with their data.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Undo revisions. Tables that they made are dropped with their data."""
    if not yes:
        if json or not sys.stdin.isatty():
            raise typer.BadParameter("Undoing drops tables with their data: say --yes.")
        typer.confirm("Undoing drops tables with their data. Go on?", abort=True)
    with reporting(json=json), owner_database(settings.load(data_dir=data_dir)) as url:
        from arqueduct import migrations

        asyncio.run(migrations.downgrade(url, revision))
        _tell(url, json=json, quiet=quiet)


@migrate.command(epilog=examples("migrate status --json"))
def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Print which revision the database has. Exit status 1 if it is not the newest."""
    with reporting(json=json), owner_database(settings.load(data_dir=data_dir)) as url:
        is_current = _tell(url, json=json, quiet=False)
    if not is_current:
        raise typer.Exit(1)


async def _up(url: str, revision: str, effective: Settings) -> None:
    from arqueduct import embedding, migrations

    await migrations.upgrade(url, revision)
    if (await migrations.status(url)).is_current:
        await migrations.ensure_model(url, embedding.model_of(effective))


def _tell(url: str, *, json: bool, quiet: bool) -> bool:
    from arqueduct import migrations

    found = asyncio.run(migrations.status(url))
    if json:
        print_json({"current": found.current, "head": found.head, "is_current": found.is_current})
    elif not quiet:
        has = f"at revision {found.current}" if found.current else "empty"
        needs = "which is the newest" if found.is_current else f"the newest is {found.head}"
        out.print(f"The database is {has}, {needs}.")
    return found.is_current
