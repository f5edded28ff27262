"""`arqueduct demo`: the whole way once, on the documents of the repository."""

import asyncio
import shlex
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from arqueduct import settings
from arqueduct.cli.client import Client, connect
from arqueduct.cli.commands.search import print_hits
from arqueduct.cli.found_files import find_files, noting
from arqueduct.cli.newcomers import already_there
from arqueduct.cli.options import DataDir, Parent
from arqueduct.cli.output import err, out, reporting
from arqueduct.cli.own_up import running_up
from arqueduct.cli.server import Server, find
from arqueduct.cli.uploads import carry
from arqueduct.cli.views import choose
from arqueduct.errors import SetupError
from arqueduct.settings import Settings
from arqueduct.supervisor.address import choose_port
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.parent import die_with

__all__ = ["demo"]

DOCUMENTS = Path("examples/documents")
NOT_FOR_READERS = {"README.md", "queries.txt", "LICENSES"}
QUERIES = ("recover the undamaged blocks of a damaged file", "How does SQLite store dates and times?")
"""Where the folder has no queries.txt."""
HITS = 3


def demo(
    documents: Annotated[Path, typer.Argument(help="Folder of documents.", exists=True)] = DOCUMENTS,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 picks a free one.")] = None,
    data_dir: DataDir = None,
    stop: Annotated[bool, typer.Option("--exit", envvar="DEMO_EXIT", help="Stop after the searches.")] = False,
    die_with_parent: Parent = None,
) -> None:
    """Start everything, ingest the example documents, and search them."""
    if die_with_parent is not None:
        die_with(die_with_parent, signal.SIGTERM)
    with reporting(json=False):
        effective = settings.load(data_dir=data_dir, port=port)
        asyncio.run(_until_signal(documents, effective.data_dir, _port(effective), stop=stop))


def _port(effective: Settings) -> int:
    """As it was said; else the usual one, or a free one where something else listens there already."""
    if "port" in effective.model_fields_set:
        return effective.port
    try:
        return choose_port(effective.host, effective.port)
    except SetupError:
        return 0


async def _until_signal(documents: Path, data_dir: Path, port: int, *, stop: bool) -> None:
    showing = asyncio.create_task(_show(documents, data_dir, port, stop=stop))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, showing.cancel)
    try:
        await showing
    except asyncio.CancelledError:
        out.print(Text("Stopped.", "dim"))


async def _show(documents: Path, data_dir: Path, port: int, *, stop: bool) -> None:
    folder = DataFolder.at(data_dir)
    async with AsyncExitStack() as stack:
        with err.status("Starting Postgres, Valkey, the API and a worker …", spinner="dots"):
            up = await stack.enter_async_context(running_up(folder.path, "--port", str(port)))
        server = find(None, None, folder.path)
        out.print(Text.assemble("Everything runs: ", (server.url, "bold")))
        async with connect(server) as client:
            await _ingest(client, documents)
            out.print()
            for query in _queries(documents):
                out.print(Text.assemble(("Search  ", "dim"), (query, "bold cyan")))
                print_hits((await client.post("/search", {"query": query, "limit": HITS}))["items"])
        out.print(_access(server, folder))
        if not stop:
            out.print(Text("Ctrl-C stops everything; the data stay for the next start.", "dim"))
            raise SetupError(
                f"`arqueduct up` ended by itself, with status {await up.ended()}.",
                advice=f"Its logs are in {folder.logs}.",
            )


async def _ingest(client: Client, documents: Path) -> None:
    found = find_files([documents], noting(json=False))
    files = [path for path in found if not NOT_FOR_READERS & set(path.relative_to(documents).parts)]
    known = await already_there(client, files)
    for path in sorted(known):
        out.print(Text.assemble((f"{path.name}: ", ""), ("already there", "dim")))
    if new := [path for path in files if path not in known]:
        out.print()
        items = await carry(client, new, choose(json=False, quiet=False))
        if not all(item.is_good for item in items):
            raise SetupError("Not every document went through.", advice="The reasons are above.")


def _queries(documents: Path) -> list[str]:
    file = documents / "queries.txt"
    lines = file.read_text().splitlines() if file.exists() else list(QUERIES)
    return [line.strip() for line in lines if line.strip()]


def _access(server: Server, folder: DataFolder) -> Panel:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    rows.add_row("API", Text(server.url, "bold"))
    rows.add_row("API key", Text(server.api_key, "bold"))
    rows.add_row("Reference", f"{server.url}/docs")
    rows.add_row("Try", Text(f'{_program()} search "your question"{_where(folder)}'))
    rows.add_row("Data", str(folder.path))
    return Panel(rows, title="Yours to use", title_align="left", expand=False, padding=(0, 1))


def _where(folder: DataFolder) -> str:
    """The option that names the folder, unless a command finds it without."""
    if DataFolder.at(settings.load().data_dir).path == folder.path:
        return ""
    near = folder.path.relative_to(Path.cwd()) if folder.path.is_relative_to(Path.cwd()) else folder.path
    return f" --data-dir {shlex.quote(str(near))}"


def _program() -> str:
    """As it can be typed here: its name where the shell finds it, else where it lies."""
    program = Path(sys.executable).with_name("arqueduct")
    if shutil.which("arqueduct") or not program.exists():
        return "arqueduct"
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)
