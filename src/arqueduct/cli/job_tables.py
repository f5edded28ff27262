"""How jobs, their history and their attempts show on a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from arqueduct.cli.client import Body
from arqueduct.cli.output import out
from arqueduct.cli.words import age, duration
from arqueduct.lifecycle import UNFINISHED

__all__ = ["ID_WIDTH", "attempts_table", "jobs_table", "print_job", "print_tracebacks"]

STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "worker_died": "red"}
ID_WIDTH = 36
"""Characters of an id, which one copies into the next command."""
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


def jobs_table(found: Sequence[Body]) -> Table:
    said = [_what(job) for job in found]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("Job", no_wrap=True, min_width=ID_WIDTH)
    table.add_column("Kind", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for name in ("%", "Age"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("Document", no_wrap=True, overflow="ellipsis", max_width=32)
    if any(said):
        table.add_column("What", overflow="fold")
    for job, what in zip(found, said, strict=True):
        old = datetime.now(UTC) - datetime.fromisoformat(job["created_at"])
        state = Text(job["state"], STYLES.get(job["state"], ""))
        cells = [job["id"], job["kind"], state, f"{job['progress']:.0%}".rstrip("%"), age(old.total_seconds())]
        cells.append(Text(job.get("document_name") or ""))
        table.add_row(*cells, *([what] if any(said) else []))
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


def attempts_table(found: Sequence[Body]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right")
    for name in ("Began", "Took", "Outcome", "Stage", "Worker", "Version"):
        table.add_column(name, no_wrap=True)
    table.add_column("Error", overflow="fold")
    for attempt in found:
        began = datetime.fromisoformat(attempt["started_at"])
        outcome = attempt["outcome"] or "running"
        error = f"{attempt['code']}: {attempt['message'] or ''}" if attempt["code"] else ""
        table.add_row(
            str(attempt["attempt"]),
            f"{began.astimezone():%Y-%m-%d %H:%M:%S}",
            _took(began, attempt["ended_at"]),
            Text(outcome, STYLES.get(outcome, "")),
            attempt["stage"] or "",
            Text(attempt["worker"]),
            attempt["version"],
            Text(error),
        )
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
    """Why it failed, why it waits, or what it is at."""
    error = job["error"]["message"] if job.get("error") and job["state"] != "completed" else None
    if job["state"] not in UNFINISHED:
        return Text(error or "", "red" if job["state"] == "failed" else "yellow")
    if job.get("waiting_for"):
        return Text(f"waits: {job['waiting_for']}" + (f"; {error}" if error else ""), "yellow" if error else "dim")
    return Text(error or job.get("message") or job["stage"], "yellow" if error else "dim")


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
