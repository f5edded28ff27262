"""A project or a batch on a terminal while it is under way: its bar, how its children stand, those that run."""

from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from arqueduct.cli.client import Body
from arqueduct.cli.family import Kin, children
from arqueduct.cli.family_watch import Failed
from arqueduct.cli.feed import Progress
from arqueduct.cli.words import duration, percent

__all__ = ["FamilyBars"]

PER_SECOND = 8
BAR_WIDTH, SMALL_BAR_WIDTH = 20, 12
TIME_WIDTH, STAGE_WIDTH = 30, 16
"""Columns of `12 min 40 s to 1 h 05 min left`, and of most names of stages."""
CUT_OFF = "The live connection is lost; asking for news until it is back."
MOST_FAILURES = 20
"""Told in full; thousands would push the bars away. The error report has all."""


class FamilyBars:
    """Draws while children move; what went wrong stays above the bars as text."""

    def __init__(self, kin: Kin, console: Console, ended: Callable[[Body, Kin], Text]) -> None:
        self._kin = kin
        self._console = console
        self._ended = ended
        self._name = ""
        self._failures = 0
        self._parts: list[RenderableType] = []
        self._is_live: Callable[[], bool] = lambda: True
        self._live = Live(console=console, refresh_per_second=PER_SECOND, get_renderable=self._page)

    def begin(self, found: Body) -> None:
        self._name = found["name"]
        self._draw(found["progress"], found["counts"], _time(found["eta"]), ())
        self._live.start()

    def listening(self, is_live: Callable[[], bool]) -> None:
        self._is_live = is_live

    def moved(self, parent: Progress) -> None:
        counts = parent.details
        if "completed" not in counts:  # before its children were counted for the first time
            return
        least, most = parent.eta_range or (None, None)
        eta = {"seconds": parent.eta_seconds, "low": least, "high": most} if parent.eta_seconds else None
        self._draw(parent.progress, counts, _time(eta) if not parent.is_final else "", counts["current"])

    def failed(self, child: Failed) -> None:
        self._failures += 1
        if self._failures <= MOST_FAILURES:
            self._live.console.print(Text.assemble((f"{child.name}: ", "bold"), child.said))

    def finish(self, found: Body) -> None:
        self._draw(found["progress"], found["counts"], "", ())
        self._live.stop()
        self._console.print(self._ended(found, self._kin))

    def close(self) -> None:
        self._live.stop()

    def _draw(self, progress: float, counts: Body, time: str, current: Sequence[Body]) -> None:
        parts: list[RenderableType] = [_head(self._name, progress, time), Text(children(counts, self._kin.unit), "dim")]
        if current:
            parts.append(_rows(current))
        self._parts = parts

    def _page(self) -> Group:
        """At every refresh: also while nothing is heard."""
        return Group(*self._parts) if self._is_live() else Group(*self._parts, Text(CUT_OFF, "yellow"))


def _time(eta: Body | None) -> str:
    """What the line has room for."""
    if eta is None:
        return ""
    if eta["low"] is None:
        return f"{duration(eta['seconds'])} left"
    low = f"{duration(eta['low'])} to" if eta["low"] else "up to"
    return f"{low} {duration(eta['high'])} left"


def _grid(bar_width: int, said_width: int) -> Table:
    """The name gets what the others leave."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(width=bar_width)
    table.add_column(width=5, justify="right")
    table.add_column(width=said_width, no_wrap=True, overflow="ellipsis")
    return table


def _head(name: str, progress: float, time: str) -> Table:
    table = _grid(BAR_WIDTH, TIME_WIDTH)
    table.add_row(Text(name, "bold"), _bar(progress, BAR_WIDTH, "cyan"), percent(progress), time)
    return table


def _rows(current: Sequence[Body]) -> Table:
    table = _grid(SMALL_BAR_WIDTH, STAGE_WIDTH)
    for one in current:
        bar = _bar(one["progress"], SMALL_BAR_WIDTH, "blue")
        name = Text(f"  {one['document_name'] or ''}")
        table.add_row(name, bar, percent(one["progress"]), Text(one["stage"], "dim"))
    return table


def _bar(progress: float, width: int, style: str) -> ProgressBar:
    return ProgressBar(total=1, completed=progress, width=width, complete_style=style, finished_style="green")
