"""`arqueduct retention`: what leaves by itself when it is old."""

from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from arqueduct.cli import people
from arqueduct.cli.asking import ask
from arqueduct.cli.client import Body
from arqueduct.cli.options import SOME_ID, ApiKey, DataDir, Json, Url, examples
from arqueduct.cli.output import out, print_json, reporting

__all__ = ["retention"]

retention = typer.Typer(
    name="retention", help="See what leaves by itself when it is old, and try or begin a run.", no_args_is_help=True
)


@retention.command(epilog=examples("retention show"))
def show(url: Url = None, api_key: ApiKey = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the policies of the tenant."""
    with reporting(json=json):
        found = ask(url, api_key, data_dir, lambda client: client.get("/retention"))
        if json:
            print_json(found)
        elif not any(found.values()):
            out.print("There are no policies: nothing leaves by itself.")
        else:
            people.table(
                {"target": "Target", "days": "Days", "only": "Only", "on": "On"},
                [_line(target, one) for target, one in found.items() if one],
            )


@retention.command(epilog=examples("retention run", "retention run --for-good"))
def run(
    for_good: Annotated[
        bool, typer.Option("--for-good", help="Do it. Without this it only counts, and changes nothing.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Queue a run: a dry one, unless it is for good. `arqueduct retention report` shows what came of it."""
    with reporting(json=json):
        asked = {"dry_run": not for_good}
        job = ask(url, api_key, data_dir, lambda client: client.post("/retention/run", asked))
        if json:
            print_json(job)
        else:
            out.print(Text(f"Job {job['id']} is {job['state']}."), soft_wrap=True)


@retention.command(epilog=examples(f"retention report {SOME_ID}"))
def report(
    job: Annotated[UUID, typer.Argument(metavar="JOB", help="Id of the run's job.")],
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show what a run did so far, or would do."""
    with reporting(json=json):
        found = ask(url, api_key, data_dir, lambda client: client.get(f"/upkeep/runs/{job}"))
        if json:
            print_json(found)
        elif not found["targets"]:
            out.print("Nothing so far.")
        else:
            lines = [
                {"target": name, "rows": f"{one['rows']:,}", "bytes": f"{one['bytes']:,}"}
                for name, one in found["targets"].items()
            ]
            people.table({"target": "Target", "rows": "How many", "bytes": "Bytes"}, lines)


def _line(target: str, policy: Body) -> Body:
    return {
        "target": target,
        "days": policy["days"],
        "only": ", ".join([*policy["states"], *policy["content_types"]]) or "–",
        "on": "yes" if policy["is_enabled"] else "no",
    }
