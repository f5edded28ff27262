"""How a project or a batch stands, as the command line prints it: what the API answered, on a page."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from arqueduct.cli import family, people
from arqueduct.cli.client import Body
from arqueduct.cli.error_table import by_code, print_failures
from arqueduct.cli.family import Kin
from arqueduct.cli.job_tables import STYLES
from arqueduct.cli.output import out, print_table
from arqueduct.cli.stacked import Underlined
from arqueduct.cli.words import age_of, counted, duration, percent
from arqueduct.lifecycle import JobState

__all__ = ["file_name", "print_families", "print_status"]

GOING = frozenset({JobState.QUEUED, JobState.RUNNING})
BAR_WIDTH = 50
LONGEST_NAME = 48


def print_status(found: Body, kin: Kin, files: Sequence[Body] = (), console: Console = out) -> None:
    """All there is to say, and below it `files`, those that the user asked to see."""
    console.print(Text(found["name"], "bold"), soft_wrap=not console.is_terminal)
    if console.is_terminal:
        bar = Table.grid(padding=(0, 1))
        filled = ProgressBar(total=1, completed=found["progress"], width=BAR_WIDTH, complete_style="cyan")
        bar.add_row(filled, percent(found["progress"]))
        console.print(bar)
    people.facts({name: value for name, value in _facts(found, kin).items() if value}, console)
    if found["failed"]:
        failed = found["counts"]["failed"]
        more = f", the first {len(found['failed'])} of {failed:,}" if failed > len(found["failed"]) else ""
        console.print(Text(f"\nFailed{more}", "bold"))
        print_failures([_failure(child) for child in found["failed"]], console)
    if found["slowest"]:
        console.print(Text("\nSlowest", "bold"))
        _print_slowest(found["slowest"], console)
    if files:
        console.print(Text(f"\n{kin.unit.title()}s", "bold"))
        _print_files(files, console)


def print_families(found: Sequence[Body], kin: Kin, console: Console = out) -> None:
    """A line each; on a terminal too narrow for it, the name stands below."""
    narrow, wide = _families_table(found, kin), _families_table(found, kin)
    wide.add_column("Name", no_wrap=True)
    names = [Text(" ".join((one["name"] or "").split())) for one in found]
    for one, name in zip(found, names, strict=True):
        state = Text(family.said_of(one["state"]), STYLES.get(one["state"], ""))
        number = one["files"] if "files" in one else one["documents"]
        cells = [
            one["id"],
            state,
            percent(one["progress"]).removesuffix(" %"),
            f"{number:,}",
            age_of(one["created_at"]),
        ]
        narrow.add_row(*cells)
        wide.add_row(*cells, name)
    print_table(wide, Underlined(narrow, names), console)


def _families_table(found: Sequence[Body], kin: Kin) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(kin.noun.title(), no_wrap=True)
    table.add_column("State", no_wrap=True, min_width=max(len(one["state"]) for one in found))
    for title in ("%", f"{kin.unit.title()}s", "Age"):
        table.add_column(title, no_wrap=True, justify="right")
    return table


def _facts(found: Body, kin: Kin) -> dict[str, Any]:
    return {
        kin.noun: found["id"],
        "state": f"{family.said_of(found['state'])}, {percent(found['progress'])}",
        f"{kin.unit}s": family.children(found["counts"], kin.unit),
        "read": family.read(found),
        "pace": family.pace(found["throughput"], kin.unit),
        "left": family.left(found["eta"]) or ("unknown" if found["state"] in GOING else ""),
        "cost": family.cost(found["cost"]),
        "errors": by_code(found["errors"]),
        "ended": found["error"] and f"{found['error']['message']} {found['error']['advice'] or ''}".rstrip(),
    }


def _print_slowest(found: Sequence[Body], console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(max_width=LONGEST_NAME, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for child in found:
        took = "" if child["took_seconds"] is None else duration(float(child["took_seconds"]))
        table.add_row(
            file_name(child), took, f"{counted(child['pages'], 'page')}, {counted(child['chunks'], 'passage')}"
        )
    console.print(table)


def _print_files(found: Sequence[Body], console: Console) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(max_width=LONGEST_NAME, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for child in found:
        said = child["stage"] if child["state"] == "running" else child["state"]
        table.add_row(file_name(child), percent(child["progress"]), Text(said, STYLES.get(child["state"], "")))
    console.print(table)


def file_name(child: Body) -> Text:
    """Its path in the set, where it is in one."""
    return Text(" ".join((child.get("path") or child.get("name") or "").split()))


def _failure(child: Body) -> Body:
    """As an error report tells it."""
    return {**child, **(child["error"] or {}), "attempts": child["attempt"]}
