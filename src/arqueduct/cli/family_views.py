"""How a project or a batch under way shows: JSON lines for programs, lines for logs, bars for a terminal."""

from collections.abc import Callable
from datetime import datetime

from rich.text import Text

from arqueduct.cli.client import Body
from arqueduct.cli.family import Kin, children, said_of
from arqueduct.cli.family_bars import FamilyBars
from arqueduct.cli.family_watch import Failed, FamilyView
from arqueduct.cli.feed import Progress
from arqueduct.cli.output import err, out, print_json
from arqueduct.cli.words import duration, percent

__all__ = ["FamilyJson", "FamilyLines", "choose", "ended"]

STEPS = 10
"""Lines that a log has of the way from 0 to 100 %."""


def choose(kin: Kin, *, json: bool, quiet: bool) -> FamilyView:
    if json:
        return FamilyJson()
    return FamilyBars(kin, out, ended) if out.is_terminal and not quiet else FamilyLines(kin, quiet=quiet)


def ended(found: Body, kin: Kin) -> Text:
    """The last line: what became of it, and where to read what went wrong."""
    counts = children(found["counts"], kin.unit)
    if found["finished_at"] is None:  # somebody was quicker than the last look
        return Text(f"{found['name']} had ended, and is {said_of(found['state'])} again: {counts}.", "bold yellow")
    began, finished = (datetime.fromisoformat(found[name]) for name in ("created_at", "finished_at"))
    time = f", {duration((finished - began).total_seconds())}"
    style = {"completed": "bold", "cancelled": "bold yellow"}.get(found["state"], "bold red")
    said = Text(f"{found['name']} is {said_of(found['state'])}: {counts}{time}.", style)
    if found["counts"]["failed"]:
        said.append(f"\nWhy: arqueduct {kin.group} errors {found['id']}", "not bold default")
    return said


class FamilyLines:
    """A line a failure and a line a tenth of the way; `quiet`: only failures, on standard error."""

    def __init__(self, kin: Kin, *, quiet: bool) -> None:
        self._kin = kin
        self._quiet = quiet
        self._step = 0
        self._name = ""

    def begin(self, found: Body) -> None:
        self._name = found["name"]
        self._step = int(found["progress"] * STEPS)

    def listening(self, is_live: Callable[[], bool]) -> None: ...

    def moved(self, parent: Progress) -> None:
        step = int(parent.progress * STEPS)
        if step > self._step and not parent.is_final and not self._quiet:
            out.print(Text(f"{self._name}: {percent(parent.progress)}, {parent.message}"), soft_wrap=True)
        self._step = max(step, self._step)

    def failed(self, child: Failed) -> None:
        console = err if self._quiet else out
        console.print(Text(f"{child.name}: {child.said}"), soft_wrap=not console.is_terminal)

    def finish(self, found: Body) -> None:
        if not self._quiet:
            out.print(Text(ended(found, self._kin).plain), soft_wrap=True)
        elif found["state"] != "completed":
            err.print(Text(ended(found, self._kin).plain), soft_wrap=True)

    def close(self) -> None: ...


class FamilyJson:
    """One object an event: began, progress, failed, and at last ended with the status."""

    def __init__(self) -> None:
        self._seq = -1

    def begin(self, found: Body) -> None:
        print_json({"event": "began", **{name: found[name] for name in ("id", "job_id", "name", "state", "counts")}})

    def listening(self, is_live: Callable[[], bool]) -> None: ...

    def moved(self, parent: Progress) -> None:
        if parent.seq <= self._seq:  # only a child moved
            return
        self._seq = parent.seq
        names = ("job_id", "state", "progress", "message", "details", "eta_seconds", "eta_range", "seq")
        print_json({"event": "progress", **{name: getattr(parent, name) for name in names}})

    def failed(self, child: Failed) -> None:
        print_json({"event": "failed", "job_id": child.job_id, "name": child.name, "error": child.error})

    def finish(self, found: Body) -> None:
        print_json({"event": "ended", **found})

    def close(self) -> None: ...
