"""`arqueduct api` and `arqueduct worker`: one process each, for containers and service managers."""

import importlib
import signal
from typing import Annotated

import typer

from arqueduct import logs, settings
from arqueduct.cli.options import DataDir, Json, Parent
from arqueduct.cli.output import reporting
from arqueduct.errors import SetupError
from arqueduct.settings import Settings
from arqueduct.supervisor.parent import die_with

__all__ = ["api", "worker"]


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
    die_with_parent: Parent = None,
) -> None:
    """Run the API. Needs DATABASE_URL and REDIS_URL."""
    with reporting(json=json):
        effective = _prepare(die_with_parent, host=host, port=port, data_dir=data_dir)
        _run("arqueduct_backend.main:serve", "backend", effective, effective.app_database_url is not None)


def worker(data_dir: DataDir = None, json: Json = False, die_with_parent: Parent = None) -> None:
    """Run one worker. Needs DATABASE_URL and REDIS_URL."""
    with reporting(json=json):
        effective = _prepare(die_with_parent, data_dir=data_dir)
        _run("arqueduct_worker.main:run", "worker", effective, effective.worker_database_url is not None)


def _prepare(parent: int | None, **said: object) -> Settings:
    """Whoever is started by another process ends with it at once: nobody would be there to stop it."""
    if parent is not None:
        die_with(parent, signal.SIGKILL)
    effective = settings.load(**said)
    logs.configure(effective)
    return effective


def _run(target: str, extra: str, effective: Settings, has_own_login: bool) -> None:
    if not (has_own_login or effective.database_url) or not effective.redis_url:
        raise SetupError(
            "Neither servers nor their addresses are here.",
            advice="Set DATABASE_URL and REDIS_URL, or run `arqueduct up`, which starts both.",
        )
    module, _, function = target.partition(":")
    try:
        run = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{error.name} is not installed.", advice=f"Run `pip install 'arqueduct[{extra}]'`."
        ) from error
    run(effective)
