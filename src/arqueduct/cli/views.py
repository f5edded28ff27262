"""How uploads show: JSON lines for programs, plain lines for logs, bars for a terminal (see bars)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.text import Text

from arqueduct.cli.bars import Bars
from arqueduct.cli.found_files import readable
from arqueduct.cli.output import err, out, print_json
from arqueduct.cli.uploads import Item, Summary, View
from arqueduct.cli.words import how_it_ended, summary_of

__all__ = ["JsonLines", "Lines", "choose"]


def choose(*, json: bool, quiet: bool) -> View:
    if json:
        return JsonLines()
    return Bars(out) if out.is_terminal and not quiet else Lines(quiet=quiet)


class Lines:
    """A line a document at its end; `quiet`: only of those that did not complete, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def begin(self, items: Sequence[Item]) -> None: ...

    def uploading(self, item: Item) -> None: ...

    def accepted(self, item: Item) -> None: ...

    def moved(self, item: Item) -> None: ...

    def refused(self, item: Item) -> None:
        self.ended(item)

    def ended(self, item: Item) -> None:
        good, said = how_it_ended(item)
        if not good or not self._quiet:
            console = err if self._quiet else out
            console.print(Text(f"{item.name}: {said}"), soft_wrap=not console.is_terminal)

    def finish(self, summary: Summary) -> None:
        if not self._quiet:
            out.print(Text(summary_of(summary)), soft_wrap=True)


class JsonLines:
    """One object an event: uploaded, refused, progress, ended, and at last summary."""

    def begin(self, items: Sequence[Item]) -> None: ...

    def uploading(self, item: Item) -> None: ...

    def refused(self, item: Item) -> None:
        if item.error is not None:
            error = {"code": item.error.code, "message": item.error.message, "advice": item.error.advice}
            self._say("refused", item, error=error)

    def accepted(self, item: Item) -> None:
        self._say("uploaded", item)

    def moved(self, item: Item) -> None:
        if item.progress is not None and not item.progress.is_final:
            self._say("progress", item, **_fields(item))

    def ended(self, item: Item) -> None:
        found = {name: (item.document or {}).get(name) for name in ("pages", "chunks")}
        self._say("ended", item, **_fields(item), **found, seconds=round(item.took, 3))

    def finish(self, summary: Summary) -> None:
        print_json({"event": "summary", **msgspec.to_builtins(summary), "seconds": round(summary.seconds, 3)})

    def _say(self, event: str, item: Item, **fields: Any) -> None:
        ids = {"document_id": item.document["id"]} if item.document else {}
        if item.path is not None:
            ids["path"] = readable(item.path)
        if item.job_id is not None:
            ids["job_id"] = item.job_id
        print_json({"event": event, "name": item.name, **ids, **fields})


def _fields(item: Item) -> dict[str, Any]:
    told = item.progress
    if told is None:
        return {}
    names = ("state", "stage", "progress", "message", "details", "eta_seconds", "eta_range", "error", "seq")
    return {name: getattr(told, name) for name in names}
