"""What commands print: text for people, JSON lines for programs, and errors that say what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from arqueduct.errors import ArqueductError

__all__ = ["PIPE_WIDTH", "err", "out", "print_error", "print_json", "reporting"]

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

PIPE_WIDTH = 120
"""Columns where nobody says how wide it is: rows of tables stay on one line, for `grep`."""

out = Console(
    highlight=False, emoji=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
)
err = Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """One line on standard output, at once, for whoever reads it through a pipe."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def print_error(error: ArqueductError, *, json: bool) -> None:
    """On standard error: `{"error": {code, message, advice}}`, or the message and below it the advice."""
    if json:
        body = {"error": {"code": error.code, "message": error.message, "advice": error.advice}}
        sys.stderr.write(msgspec.json.encode(body).decode() + "\n")
        return
    err.print(Text.assemble(("Error: ", "bold red"), error.message), soft_wrap=True)
    if error.advice not in error.message:
        # under the message on a terminal; one line in a log
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
