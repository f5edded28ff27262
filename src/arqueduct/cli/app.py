"""All commands under one name."""

from typing import Annotated

import typer

from arqueduct import __version__
from arqueduct.cli.commands import (
    bench,
    demo,
    doctor,
    documents,
    ingest,
    jobs,
    keys,
    migrate,
    openapi,
    queue,
    retention,
    search,
    serve,
    sets,
    tenants,
    up,
    users,
)
from arqueduct.cli.options import examples

__all__ = ["app", "main"]

app = typer.Typer(
    name="arqueduct",
    help="Carries documents through staged jobs, shows every one as it flows, and makes them searchable.",
    epilog="Start with `arqueduct up`, then `arqueduct ingest FOLDER` and `arqueduct search QUERY`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUN, USE, CARE = "Run", "Use", "Look after"

app.command(rich_help_panel=RUN, epilog=examples("up", "up --port 9000 --workers 4 --data-dir /srv/arqueduct"))(up.up)
app.command(rich_help_panel=RUN, epilog=examples("demo", "demo FOLDER --exit"))(demo.demo)
app.command(rich_help_panel=RUN, epilog=examples("api --host 0.0.0.0 --port 8000"))(serve.api)
app.command(rich_help_panel=RUN, epilog=examples("worker"))(serve.worker)
app.command(
    rich_help_panel=USE, epilog=examples("ingest report.pdf notes/", "ingest archive/ --no-wait --priority bulk")
)(ingest.ingest)
app.command(
    rich_help_panel=USE, epilog=examples('search "When was the arch built?"', "search arch --mode text --json")
)(search.search)
app.add_typer(jobs.jobs, name="jobs", rich_help_panel=USE)
app.add_typer(documents.documents, name="documents", rich_help_panel=USE)
app.add_typer(sets.sets, name="sets", rich_help_panel=USE)
app.add_typer(migrate.migrate, name="migrate", rich_help_panel=CARE)
app.add_typer(tenants.tenants, name="tenants", rich_help_panel=CARE)
app.add_typer(users.users, name="users", rich_help_panel=CARE)
app.add_typer(keys.keys, name="keys", rich_help_panel=CARE)
app.add_typer(queue.queue, name="queue", rich_help_panel=CARE)
app.add_typer(retention.retention, name="retention", rich_help_panel=CARE)
app.command(rich_help_panel=CARE, epilog=examples("doctor", "doctor --quiet"))(doctor.doctor)
app.add_typer(bench.bench, name="bench", rich_help_panel=CARE)
app.command(rich_help_panel=CARE, epilog=examples("openapi > openapi.json"))(openapi.openapi)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"arqueduct {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None: ...


def main() -> None:
    """Entry point of the `arqueduct` program. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    app()
