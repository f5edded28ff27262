"""Rows that are wider than the terminal: below the id, what there is to say, by words."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

__all__ = ["Records", "Underlined"]

INDENT = "  "


class Records:
    """A row is its first value and, below it, what else it has, by name; nothing is broken that fits on a line."""

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        self._names = names
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for first, *rest in self._rows:
            yield first
            told = ((name, value) for name, value in zip(self._names[1:], rest, strict=True) if value)
            pieces = [Text.assemble((f"{name} ", "dim"), value) for name, value in told]
            yield from _lines(pieces, options.max_width - len(INDENT))


class Underlined:
    """A table, and below each of its rows, which are a line each, what else is said."""

    def __init__(self, table: Table, said: Sequence[Text]) -> None:
        self._table = table
        self._said = said

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        head, *rows = console.render_lines(self._table, options, pad=False)
        yield _joined(head)
        for row, said in zip(rows, self._said, strict=True):
            yield _joined(row)
            if said:
                yield Padding(said, (0, 0, 0, len(INDENT)), expand=False)


def _lines(pieces: Sequence[Text], width: int) -> Iterator[Text]:
    line = Text()
    for piece in pieces:
        if line and line.cell_len + len(INDENT) + piece.cell_len > width:
            yield Text.assemble(INDENT, line)
            line = Text()
        line = Text.assemble(line, INDENT, piece) if line else piece
    yield Text.assemble(INDENT, line)


def _joined(segments: Sequence[Segment]) -> Text:
    return Text.assemble(*((segment.text, segment.style or "") for segment in segments))
