"""Live bars for a terminal: one a document, and of thousands those that move and one for all."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from arqueduct.cli.uploads import Item, Summary
from arqueduct.cli.words import duration, how_it_ended, summary_of

__all__ = ["Bars"]

FEW = 16
"""Up to so many documents keep their bars to the end; they and a summary fit on a screen of 24 lines."""
NAME_WIDTH, BAR_WIDTH = 36, 24
NARROW = 100
"""Columns below which the words at the end need the place more than names and bars do."""
NARROW_NAME_WIDTH, NARROW_BAR_WIDTH = 22, 6
PER_SECOND = 12

STYLES = {"completed": "green", "failed": "red", "cancelled": "yellow"}


class Bars:
    """Draws while documents move; what went wrong stays above the bars as text."""

    def __init__(self, console: Console) -> None:
        self._console = console
        is_narrow = console.width < NARROW
        self._name_width = NARROW_NAME_WIDTH if is_narrow else NAME_WIDTH
        bar_width = NARROW_BAR_WIDTH if is_narrow else BAR_WIDTH
        self._documents = _progress(console, self._name_width, bar_width)
        self._overall = _progress(console, self._name_width, bar_width)
        self._rows: dict[Item, TaskID] = {}
        self._all: TaskID | None = None
        self._live = Live(Group(self._documents, self._overall), console=console, refresh_per_second=PER_SECOND)

    def begin(self, items: Sequence[Item]) -> None:
        if len(items) > FEW:
            self._all = self._overall.add_task("", total=len(items), name="All", said=Text(f"0 of {len(items):,}"))
        self._live.start()

    def uploading(self, item: Item) -> None:
        if self._all is None or len(self._rows) < FEW - 2:
            self._add(item, "uploading")

    def refused(self, item: Item) -> None:
        self.ended(item)

    def accepted(self, item: Item) -> None:
        if item in self._rows:
            self._documents.update(self._rows[item], name=_fitted(item.name, self._name_width))
        self._say(item, Text("waiting", "dim"))

    def moved(self, item: Item) -> None:
        told = item.progress
        if told is None or told.is_final:
            return
        if item not in self._rows and told.stage != "queued" and len(self._rows) < FEW - 2:
            self._add(item, told.stage)
        if item in self._rows:
            said = Text(told.message or told.stage)
            if count := _count(told.details):
                said.append(f"  {count}", "dim")
            if told.eta_seconds:
                said.append(f"  {duration(told.eta_seconds)} left", "dim")
            self._documents.update(self._rows[item], completed=told.progress)
            self._say(item, said)

    def ended(self, item: Item) -> None:
        good, said = how_it_ended(item)
        state = item.progress.state if item.progress else "failed"
        style = STYLES.get(state, "")
        if self._all is None:
            self._documents.update(self._row(item), completed=1 if good else None, is_refused=item.error is not None)
            self._say(item, Text(f"{'✓' if good else '✗'} {said if good else said.partition(':')[0]}", style))
        else:
            if item in self._rows:
                self._documents.remove_task(self._rows.pop(item))
            self._overall.advance(self._all)
            done = int(self._overall.tasks[0].completed)
            self._overall.update(self._all, said=Text(f"{done:,} of {self._overall.tasks[0].total:,.0f}"))
        if not good:
            self._live.console.print(Text.assemble((f"{item.name}: ", "bold"), said))

    def finish(self, summary: Summary) -> None:
        self._live.stop()
        self._console.print(Text(summary_of(summary), "bold" if summary.is_good else "bold red"))

    def _row(self, item: Item) -> TaskID:
        if item not in self._rows:
            self._add(item, "")
        return self._rows[item]

    def _add(self, item: Item, said: str) -> None:
        self._rows[item] = self._documents.add_task(
            "", total=1, name=_fitted(item.name, self._name_width), said=Text(said, "dim"), is_refused=False
        )

    def _say(self, item: Item, said: Text) -> None:
        if item in self._rows:
            self._documents.update(self._rows[item], said=said)


def _progress(console: Console, name_width: int, bar_width: int) -> Progress:
    return Progress(
        TextColumn("{task.fields[name]}", table_column=Column(width=name_width, no_wrap=True)),
        _Taken(BarColumn(bar_width=bar_width, complete_style="cyan", finished_style="green")),
        _Taken(TextColumn("{task.percentage:>3.0f} %")),
        _Said(),
        console=console,
        auto_refresh=False,
        expand=True,
    )


class _Taken(ProgressColumn):
    """Another column, which is empty for a file that the server refused: nothing of it is on its way."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        return Text("") if task.fields.get("is_refused") else self._column.render(task)


class _Said(ProgressColumn):
    """What a row says at its end, cut to what the terminal has left."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        said = task.fields["said"]
        return said if isinstance(said, Text) else Text(str(said))


def _fitted(name: str, width: int) -> str:
    """The beginning and the end of a long name: both tell files apart."""
    if len(name) <= width:
        return name
    tail = width // 3
    return f"{name[: width - tail - 1]}…{name[-tail:]}"


def _count(details: dict[str, Any]) -> str:
    done, total, unit = details.get("done"), details.get("total"), details.get("unit")
    if not isinstance(done, int) or not isinstance(total, int) or not unit or not total:
        return ""
    if unit == "bytes":
        return f"{done / 2**20:,.1f} of {total / 2**20:,.1f} MB"
    return f"{done:,} of {total:,} {unit}"
