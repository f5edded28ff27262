"""How jobs, their history and their attempts show on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from arqueduct.cli.client import Body
from arqueduct.cli.output import out, print_table
from arqueduct.cli.stacked import Underlined
from arqueduct.cli.words import age, duration
from arqueduct.lifecycle import UNFINISHED

__all__ = ["ID_WIDTH", "print_attempts", "print_job", "print_jobs", "print_tracebacks"]

STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "worker_died": "red"}
ID_WIDTH = 36
"""Characters of an id, which one copies into the next command."""
LONGEST_NAME = 40
SHOWN = (
    "id",
    "kind",
    "document_id",
    "document_name",
    "state",
    "stage",
    "priority",
    "waiting_for",
    "position",
    "attempt",
    "created_at",
    "started_at",
    "finished_at",
)


def print_jobs(found: Sequence[Body], console: Console = out) -> None:
    """A line a job; on a terminal too narrow for it, what there is to say stands below."""
    print_table(*_jobs_tables(found), console)


def _jobs_tables(found: Sequence[Body]) -> tuple[Table, RenderableType]:
    """Wide and narrow. The kind is told only where there are several."""
    said = [_what(job) for job in found]
    are_mixed = len({job["kind"] for job in found}) > 1
    kinds = [Text(job["kind"] if are_mixed else "") for job in found]
    narrow, wide = _jobs_table(found), _jobs_table(found)
    for title, column in (("Kind", kinds), ("What", said)):
        if any(column):
            wide.add_column(title, no_wrap=True)
    for job, kind, what in zip(found, kinds, said, strict=True):
        old = datetime.now(UTC) - datetime.fromisoformat(job["created_at"])
        state = Text(job["state"], STYLES.get(job["state"], ""))
        name = Text(" ".join((job.get("document_name") or "").split()), no_wrap=True, overflow="ellipsis")
        cells = [job["id"], state, f"{job['progress']:.0%}".rstrip("%"), age(old.total_seconds()), name]
        narrow.add_row(*cells)
        wide.add_row(*cells, *([kind] if any(kinds) else []), *([what] if any(said) else []))
    gap = Text("  ", no_wrap=True, overflow="ellipsis")
    below = [gap.join(filter(None, parts)) for parts in zip(kinds, said, strict=True)]
    return wide, Underlined(narrow, below)


def _jobs_table(found: Sequence[Body]) -> Table:
    """The columns that every terminal has. Of these, only names of documents may be cut."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("Job", no_wrap=True, min_width=ID_WIDTH)
    table.add_column("State", no_wrap=True, min_width=max(len(job["state"]) for job in found))
    for name in ("%", "Age"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("Document", max_width=LONGEST_NAME)
    return table


def print_job(job: Body) -> None:
    """The row, and below it `events`, its history."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for name in SHOWN:
        if job.get(name) is not None:
            rows.add_row(name, Text(_said(job, name), STYLES.get(str(job[name]), "")))
    if error := job.get("error"):
        rows.add_row("error", Text(f"{error['code']}: {error['message']}", "red"))
        rows.add_row("advice", Text(error["advice"]))
    out.print(rows)
    out.print()
    out.print(_history(job["events"]))


def print_attempts(found: Sequence[Body], console: Console = out) -> None:
    """A line each; on a terminal too narrow for it, who it was and what went wrong stand below."""
    wide, narrow = _attempts_table(), _attempts_table()
    for name in ("Worker", "Version", "Error"):
        wide.add_column(name, no_wrap=True)
    below = []
    for attempt in found:
        began = datetime.fromisoformat(attempt["started_at"])
        outcome = attempt["outcome"] or "running"
        error = f"{attempt['code']}: {attempt['message'] or ''}" if attempt["code"] else ""
        cells = [
            str(attempt["attempt"]),
            f"{began.astimezone():%Y-%m-%d %H:%M:%S}",
            _took(began, attempt["ended_at"]),
            Text(outcome, STYLES.get(outcome, "")),
            attempt["stage"] or "",
        ]
        by = [Text(attempt["worker"] or ""), Text(attempt["version"]), Text(" ".join(error.split()))]
        narrow.add_row(*cells)
        wide.add_row(*cells, *by)
        below.append(Text("  ").join(filter(None, by)))
    print_table(wide, Underlined(narrow, below), console)


def _attempts_table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right")
    for name in ("Began", "Took", "Outcome", "Stage"):
        table.add_column(name, no_wrap=True)
    return table


def print_tracebacks(found: Sequence[Body]) -> None:
    for attempt in found:
        if attempt["traceback"]:
            out.print()
            out.print(Text(f"Attempt {attempt['attempt']}:", "bold"))
            out.print(Text(attempt["traceback"]), soft_wrap=True)
    if not any(attempt["traceback"] for attempt in found):
        out.print("\nNo tracebacks: nothing went wrong, or this key is not of an owner or administrator.")


def _what(job: Body) -> Text:
    """Why it failed, why it waits, or what it is at; on one line."""
    said, style = _reason(job)
    return Text(" ".join(said.split()), style)


def _reason(job: Body) -> tuple[str, str]:
    error = job["error"]["message"] if job.get("error") and job["state"] != "completed" else ""
    if job["state"] not in UNFINISHED:
        return error, "red" if job["state"] == "failed" else "yellow"
    if job.get("waiting_for"):
        return f"waits: {job['waiting_for']}" + (f"; {error}" if error else ""), "yellow" if error else "dim"
    return error or job.get("message") or job["stage"], "yellow" if error else "dim"


def _said(job: Body, name: str) -> str:
    if name == "position":
        return f"{job[name]:,} before it" if job[name] else "the next"
    return str(job[name])


def _history(events: Sequence[Body]) -> Table:
    history = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("Time", "Stage", "Progress", "Attempt", "Message"):
        history.add_column(name)
    for event in events:
        at = datetime.fromisoformat(event["timestamp"]).astimezone()
        history.add_row(
            f"{at:%H:%M:%S.%f}"[:-3],
            event["stage"],
            f"{event['progress']:.0%}",
            str(event["attempt"]),
            Text(event["message"] or ""),
        )
    return history


def _took(began: datetime, ended: str | None) -> str:
    if ended is None:
        return ""
    return duration((datetime.fromisoformat(ended) - began).total_seconds())
