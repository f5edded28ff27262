"""What `arqueduct up` says about itself."""

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from arqueduct import __version__
from arqueduct.cli.output import err, out, print_json
from arqueduct.cli.words import counted

__all__ = ["JsonEvents", "Lifecycle"]

WAITING = {
    "servers": "Starting Postgres and Valkey …",
    "schema": "Preparing the database …",
    "processes": "Starting API and workers …",
}


class JsonEvents(AbstractContextManager["JsonEvents"]):
    """One JSON line an event on standard output; `ready` is the one to wait for."""

    def say(self, event: str, **fields: Any) -> None:
        print_json({"event": event, **fields})

    def __exit__(self, *_: object) -> None: ...


class Lifecycle(AbstractContextManager["Lifecycle"]):
    """A spinner until it is ready, then a panel, then a line whenever something happens."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._status = Status("", console=err, spinner="dots")
        self._is_ready = False

    def __enter__(self) -> "Lifecycle":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def say(self, event: str, **fields: Any) -> None:
        if event in ("died", "failed", "killed"):
            self._trouble(event, fields)
        elif not self._quiet:
            getattr(self, f"_on_{event}", lambda **_: None)(**fields)

    def _on_starting(self, *, what: str, **_: Any) -> None:
        self._status.update(WAITING[what])
        if err.is_terminal:
            self._status.start()

    def _on_identity(self, *, reason: str, file: str, email: str) -> None:
        if reason != "first start":
            out.print(Text(f"New API key of {email} in {file}: {reason}.", "yellow"), soft_wrap=True)

    def _on_ready(self, *, url: str, data_dir: str, pids: dict[str, list[int]]) -> None:
        self._status.stop()
        self._is_ready = True
        out.print(_panel(url, Path(data_dir), pids))
        out.print(Text("Ctrl-C stops everything.", "dim"))

    def _on_started(self, *, process: str) -> None:
        self._line(Text(f"{process} runs again.", "green"))

    def _on_stopping(self, *, what: str, **_: Any) -> None:
        if what == "processes" and self._is_ready:
            self._line(Text("Stopping; jobs under way may finish. Ctrl-C again stops at once."))

    def _on_stopped(self) -> None:
        if self._is_ready:
            self._line(Text("Stopped."))

    def _trouble(self, event: str, fields: dict[str, Any]) -> None:
        reason = fields["reason"]
        text = {
            "died": f"{fields['process']} {reason}; starting it again.",
            "failed": f"{fields['process']} does not start: {reason}",
            "killed": f"{fields['process']} was killed: {reason}.",
        }[event]
        line = Text(text, "yellow")
        if fields.get("log"):
            line.append(f" Log: {fields['log']}", "dim")
        self._line(line)

    def _line(self, text: Text) -> None:
        self._status.stop()
        out.print(Text.assemble((f"{datetime.now().astimezone():%H:%M:%S}  ", "dim"), text), soft_wrap=True)


def _panel(url: str, data_dir: Path, pids: dict[str, list[int]]) -> Panel:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    servers = [name for name, role in (("Postgres", "postgres"), ("Valkey", "valkey")) if pids.get(role)]
    rows.add_row("API", Text(url, "bold"))
    rows.add_row("Reference", f"{url}/docs")
    rows.add_row("API key", f"in {_short(data_dir / 'credentials.json')}")
    rows.add_row("Logs", _short(data_dir / "logs"))
    rows.add_row("Running", ", ".join(["API", counted(len(pids["worker"]), "worker"), *servers]))
    return Panel(rows, title=f"Arqueduct {__version__}", title_align="left", expand=False, padding=(0, 1))


def _short(path: Path) -> str:
    """Relative to where we are, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
