"""`arqueduct errors`: what failed, whatever it belonged to."""

from typing import Annotated

import typer

from arqueduct.cli.asking import ask
from arqueduct.cli.client import Client
from arqueduct.cli.commands.steering import TIME
from arqueduct.cli.error_table import Code, Csv, Most, report
from arqueduct.cli.options import ApiKey, DataDir, Json, Quiet, Url
from arqueduct.cli.output import reporting

__all__ = ["errors"]


def errors(
    code: Code = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only this kind of jobs, such as document.ingest.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", help="Failed after this day or time.", **TIME)] = None,
    before: Annotated[str | None, typer.Option("--before", help="Failed before this day or time.", **TIME)] = None,
    csv: Csv = None,
    limit: Most = 50,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List what failed, where, why, and what to do: of the last 30 days unless told.

    `arqueduct jobs retry --error-code CODE` puts what has a code back into the queue.
    """

    async def act(client: Client) -> None:
        wanted = {"error_code": code, "kind": kind, "after": after, "before": before}
        await report(client, "/errors", csv, limit, json=json, quiet=quiet, **wanted)

    with reporting(json=json):
        ask(url, api_key, data_dir, act)
