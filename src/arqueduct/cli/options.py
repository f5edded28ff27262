"""Options that several commands share, worded once."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ApiKey", "DataDir", "Json", "Parent", "Quiet", "Url"]

SERVER = "Server"

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what went wrong.")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the installation.  [default: $ARQUEDUCT_DATA_DIR or .arqueduct]"),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="ARQUEDUCT_URL",
        help="Address of the API.  [default: from <data-dir>/credentials.json]",
        rich_help_panel=SERVER,
        show_envvar=False,
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="ARQUEDUCT_API_KEY",
        help="[default: from <data-dir>/credentials.json]",
        rich_help_panel=SERVER,
        show_envvar=False,
    ),
]
Parent = Annotated[
    int | None,
    typer.Option("--die-with-parent", metavar="PID", hidden=True, help="End when this process, our parent, ends."),
]
