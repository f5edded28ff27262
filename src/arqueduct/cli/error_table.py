"""What failed, where, why, and what to do: on a terminal, or as a file for a spreadsheet."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arqueduct.cli.client import Body, Client
from arqueduct.cli.output import out, print_json, print_table
from arqueduct.cli.stacked import Underlined
from arqueduct.cli.words import counted
from arqueduct.errors import SetupError

__all__ = ["Code", "Csv", "Most", "by_code", "print_failures", "report"]

LONGEST_NAME = 40
STDOUT = Path("-")

Code = Annotated[str | None, typer.Option(metavar="CODE", help="Only this one, such as document_corrupt.")]
Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write all of them into a file; `-`: standard output.")
]
Most = Annotated[int, typer.Option("--limit", min=1, help="How many to list.")]


async def report(
    client: Client, path: str, file: Path | None, limit: int, *, json: bool, quiet: bool = False, **wanted: str | None
) -> None:
    """Prints the report at `path`, or writes it into a file. Raises `SetupError` where that cannot be."""
    if file is not None:
        await _save(client, path, file, **wanted)
        if json and file != STDOUT:
            print_json({"event": "written", "file": str(file)})
        elif not quiet and file != STDOUT:
            out.print(Text(f"{file} is written."), soft_wrap=True)
        return
    found = await _read(client, path, limit, **wanted)
    if json:
        print_json(found)
    elif not found["items"]:
        out.print(Text(_nothing(wanted)), soft_wrap=True)
    else:
        _print(found)


def by_code(counts: Mapping[str, int]) -> str:
    """`document_corrupt 2, timeout 1`."""
    return ", ".join(f"{code} {number:,}" for code, number in counts.items())


def print_failures(found: Sequence[Body], console: Console = out) -> None:
    """A line a failure; on a terminal too narrow for it, what went wrong and what to do stand below."""
    narrow, wide = _table(), _table()
    for title in ("Job", "What went wrong"):
        wide.add_column(title, no_wrap=True)
    said = [Text(" ".join(f"{one['message'] or ''} {one['advice'] or ''}".split())) for one in found]
    for one, what in zip(found, said, strict=True):
        name = Text(" ".join((one["path"] or one["name"] or one["kind"]).split()), no_wrap=True, overflow="ellipsis")
        cells: list[Text | str] = [name, Text(one["stage"] or ""), Text(one["code"], "red"), str(one["attempts"])]
        narrow.add_row(*cells)
        wide.add_row(*cells, one["job_id"], what)
    print_table(wide, Underlined(narrow, said), console)


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("File", max_width=LONGEST_NAME, no_wrap=True, overflow="ellipsis")
    for title in ("Stage", "Code"):
        table.add_column(title, no_wrap=True)
    table.add_column("Attempts", no_wrap=True, justify="right")
    return table


def _nothing(wanted: Mapping[str, str | None]) -> str:
    said = "Nothing failed"
    for name, words in (("error_code", "with the code"), ("kind", "of the kind")):
        if wanted.get(name):
            said += f" {words} {wanted[name]}"
    return f"{said} in that time." if wanted.get("after") or wanted.get("before") else f"{said}."


def _print(found: Body) -> None:
    total, shown = sum(found["by_code"].values()), len(found["items"])
    more = f"; the first {shown:,}, --limit shows more" if shown < total else ""
    out.print(Text(f"{counted(total, 'failure')}: {by_code(found['by_code'])}{more}"))
    out.print()
    print_failures(found["items"])


async def _read(client: Client, path: str, limit: int, **wanted: str | None) -> Body:
    """The first page tells how many there are of each code."""
    first = await client.get(path, limit=1, **wanted)
    items = [item async for item in client.pages(path, limit, **wanted)]
    return {"by_code": first["by_code"], "items": items}


async def _save(client: Client, path: str, file: Path, **wanted: str | None) -> None:
    """Not half a file: it is renamed when it is whole."""
    if file == STDOUT:
        await client.save(path, sys.stdout.buffer, format="csv", **wanted)
        sys.stdout.buffer.flush()
        return
    part = file.with_name(f"{file.name}.part")
    try:
        try:
            with part.open("wb") as opened:
                await client.save(path, opened, format="csv", **wanted)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(
            f"{file} cannot be written: {error.strerror or error}.",
            advice="Name a file in a folder that you may write.",
        ) from error
