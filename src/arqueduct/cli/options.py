"""Options that several commands share, worded once; checks of what is typed; examples."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from arqueduct.naming import ADDRESS, LABEL, Form

__all__ = ["SOME_ID", "ApiKey", "DataDir", "Json", "Parent", "Quiet", "Url", "address", "examples", "label"]

SERVER = "Server"
SOME_ID = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"
"""Of whatever an example is about."""


def examples(*commands: str) -> str:
    """The end of a command's help: a line each, as it is typed."""
    keeps_lines = "\b"  # click's mark
    return "\n".join((keeps_lines, "Examples:", *(f"  arqueduct {command}" for command in commands)))


def _parser(form: Form) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            return form.check(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return check


label = _parser(LABEL)
"""Parses a name. Raises `BadParameter`."""
address = _parser(ADDRESS)
"""Parses an address. Raises `BadParameter`."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what went wrong.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the installation.  (default: $ARQUEDUCT_DATA_DIR or .arqueduct)"),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="ARQUEDUCT_URL",
        help="Address of the API.  (default: $ARQUEDUCT_URL, or from <data-dir>/credentials.json)",
        rich_help_panel=SERVER,
        show_envvar=False,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="ARQUEDUCT_API_KEY",
        help="Key of the API.  (default: $ARQUEDUCT_API_KEY, or from <data-dir>/credentials.json)",
        rich_help_panel=SERVER,
        show_envvar=False,
    ),
]
Parent = Annotated[
    int | None,
    typer.Option("--die-with-parent", metavar="PID", hidden=True, help="End when this process, our parent, ends."),
]
