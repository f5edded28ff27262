"""`arqueduct doctor`: what is configured, and whether it works."""

import asyncio
import sys
from functools import partial
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from arqueduct import settings
from arqueduct.cli.checkup import Check, Finding, Verdict, ask, skipped
from arqueduct.cli.options import DataDir, Json, Quiet
from arqueduct.cli.output import out, print_json, reporting
from arqueduct.cli.reference import reference as reference_page
from arqueduct.settings import Settings, redact_url
from arqueduct.supervisor.folder import DataFolder

__all__ = ["doctor"]

MODEL_SECONDS = 120
"""The first load of the local model prepares it, which takes some seconds on a slow machine."""

SIGNS = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARNING: ("!", "yellow"),
    Verdict.FAILED: ("✗", "red"),
    Verdict.SKIPPED: ("·", "dim"),
}


def doctor(
    reference: Annotated[
        bool, typer.Option("--reference", help="Print the page of all settings (Markdown) and do nothing else.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print the configuration, without its secrets, and check what it needs. Exit status 1 if something is wrong."""
    if reference:
        sys.stdout.write(reference_page())
        return
    with reporting(json=json):
        effective = settings.load(data_dir=data_dir)
        checks = asyncio.run(_examine(effective))
        if json:
            print_json({"configuration": _configuration(effective), "checks": checks})
        else:
            if not quiet:
                _print_configuration(effective)
            _print_checks(checks, quiet=quiet)
    if any(check.verdict is Verdict.FAILED for check in checks):
        raise typer.Exit(1)


async def _examine(effective: Settings) -> list[Check]:
    from arqueduct.cli import check_machine as machine  # these take a second, which `--reference` need not wait for
    from arqueduct.cli import check_servers as servers

    folder = DataFolder.at(effective.data_dir)
    runtime = folder.running()
    database = effective.database_url.get_secret_value() if effective.database_url else None
    redis = effective.redis_url.get_secret_value() if effective.redis_url else None
    database = database or (runtime.database_url if runtime else None)
    redis = redis or (runtime.redis_url if runtime else None)
    checks = [
        await ask("Python", machine.check_python),
        await ask("Installed", machine.check_parts),
        await ask("Programs", partial(machine.check_programs, effective)),
        await ask("Data folder", partial(machine.check_data_dir, folder)),
        await ask("Disk", partial(machine.check_disk, folder)),
        await ask("Storage", partial(machine.check_storage, effective, folder)),
        await ask("Embedding model", partial(machine.check_model, effective), seconds=MODEL_SECONDS),
    ]
    for name, question in (
        ("Postgres", servers.check_postgres),
        ("pgvector", servers.check_vector),
        ("Schema", servers.check_revision),
        ("Roles", servers.check_roles),
        ("Vector index", servers.check_vectors),
    ):
        checks.append(await ask(name, partial(question, database) if database else _not_running))
    checks.append(await ask("Redis", partial(servers.check_redis, redis) if redis else _not_running))
    checks.append(await ask("API", partial(servers.check_api, runtime.url if runtime else None)))
    return checks


async def _not_running() -> Finding:
    return skipped("embedded, and `arqueduct up` does not run")


def _configuration(effective: Settings) -> dict[str, dict[str, Any]]:
    return {
        name: {"value": _shown(value), "changed": value != field.default}
        for name, field in Settings.model_fields.items()
        if (value := getattr(effective, name)) is not None or field.default is not None
    }


def _shown(value: Any) -> Any:
    """Without passwords and keys."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return redact_url(secret) if "://" in secret else "…"
    if isinstance(value, frozenset):
        return sorted(value)
    return value if isinstance(value, bool | int | float) else redact_url(str(value))


def _print_configuration(effective: Settings) -> None:
    table = Table.grid(padding=(0, 2))
    for name, entry in _configuration(effective).items():
        style = "bold" if entry["changed"] else "dim"
        table.add_row(
            Text("●" if entry["changed"] else " ", "cyan"), Text(name, style), Text(str(entry["value"]), style)
        )
    out.print(Text("Configuration", "bold"), Text("(● differs from the default)", "dim"))
    out.print(table)
    out.print()


def _print_checks(checks: list[Check], *, quiet: bool) -> None:
    table = Table.grid(padding=(0, 2))
    for check in checks:
        if quiet and check.verdict in (Verdict.OK, Verdict.SKIPPED):
            continue
        sign, style = SIGNS[check.verdict]
        table.add_row(Text(sign, style), Text(check.name), Text(check.detail, "dim" if sign == "·" else ""))
        if check.advice:
            table.add_row("", "", Text(check.advice, style))
    out.print(table)
