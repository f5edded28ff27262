"""`arqueduct up`: everything on one machine."""

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from arqueduct import settings
from arqueduct.cli.lifecycle_lines import JsonEvents, Lifecycle
from arqueduct.cli.options import DataDir, Json, Parent, Quiet
from arqueduct.cli.output import reporting
from arqueduct.supervisor.parent import die_with

if TYPE_CHECKING:
    from arqueduct.supervisor.supervisor import Supervisor

__all__ = ["up"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    host: Annotated[str | None, typer.Option(help="Address of the API; 0.0.0.0 opens it to the network.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 picks a free one.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print what the processes log, instead of files in <data-dir>/logs.")
    ] = False,
    die_with_parent: Parent = None,
) -> None:
    """Run servers, API and workers on this machine until Ctrl-C.

    Postgres and Valkey are started in the data folder, unless DATABASE_URL or REDIS_URL names a server.
    """
    if die_with_parent is not None:
        die_with(die_with_parent, signal.SIGTERM)
    view = JsonEvents() if json else Lifecycle(quiet=quiet)
    with reporting(json=json), view:
        from arqueduct.supervisor.supervisor import Supervisor  # takes half a second, which `--help` need not

        effective = settings.load(host=host, port=port, workers=workers, data_dir=data_dir)
        asyncio.run(_until_stopped(Supervisor(effective, say=view.say, verbose=verbose)))


async def _until_stopped(supervisor: "Supervisor") -> None:
    """The first signal asks for a clean stop, the second for a quick one."""
    running = asyncio.create_task(supervisor.run())

    def stop() -> None:
        if not running.cancelling():
            running.cancel()
        else:
            supervisor.kill()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await running
