"""What commands print: text for people, JSON lines for programs, and errors that say what to do."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from arqueduct.errors import ArqueductError

__all__ = ["PIPE_WIDTH", "SafeConsole", "err", "out", "print_error", "print_json", "print_table", "reporting"]

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

PIPE_WIDTH = 120
"""Columns of text where nobody says how wide it is."""

UNBOUNDED = 100_000
"""Columns; wider than any row."""

STEERING = re.compile("[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, colours it or turns text round; line feeds are ours."""


class SafeConsole(Console):
    """Drops control characters of whatever is shown: names, file names and errors are written by others."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control is None and STEERING.search(segment.text):
                yield Segment(STEERING.sub("", segment.text), segment.style)
            else:
                yield segment


out = SafeConsole(
    highlight=False, emoji=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
)
err = SafeConsole(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """One line on standard output, at once, for whoever reads it through a pipe."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def print_table(table: Table, narrow: RenderableType, console: Console = out) -> None:
    """`narrow` instead on a terminal that does not hold the rows; in a pipe a row is one line, for `grep`."""
    needed = console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum
    if console.is_terminal:
        console.print(table if needed <= console.width else narrow)
    else:
        SafeConsole(file=console.file, width=needed, highlight=False, emoji=False).print(table)


def print_error(error: ArqueductError, *, json: bool) -> None:
    """On standard error: `{"error": {code, message, advice}}`, or the message and below it the advice.

    A terminal gets whole words, a log whole lines.
    """
    if json:
        body = {"error": {"code": error.code, "message": error.message, "advice": error.advice}}
        sys.stderr.write(msgspec.json.encode(body).decode() + "\n")
        return
    err.print(Text.assemble(("Error: ", "bold red"), error.message), soft_wrap=not err.is_terminal)
    if error.advice not in error.message:
        advice = Text(error.advice, "dim")
        err.print(Padding(advice, (0, 0, 0, 7)) if err.is_terminal else advice, soft_wrap=not err.is_terminal)


@contextmanager
def reporting(*, json: bool) -> Iterator[None]:
    """Round the body of a command: ends it with status 1 and a clear word instead of a stack trace."""
    try:
        yield
    except ArqueductError as error:
        print_error(error, json=json)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
