"""Commands of the program inside the test's own process, with servers of the test."""

import asyncio
import json
from typing import Any

from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from arqueduct.cli import app, output
from arqueduct.settings import Settings


async def arqueduct(
    *arguments: str, settings: Settings | None = None, columns: int = 200, piped: str | None = None
) -> Result:
    """One command, to its end. With settings it finds their database and Redis. `columns`: of the terminal."""
    environment: dict[str, str | None] = {"COLUMNS": str(columns)}
    if settings is not None:
        assert settings.database_url is not None
        assert settings.redis_url is not None
        environment |= {
            "ARQUEDUCT_DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "REDIS_URL": settings.redis_url.get_secret_value(),
        }
    output.out.width = output.err.width = columns  # whatever was known of the terminal when they were made
    # The command runs an event loop of its own; what the test's servers log meanwhile is not its output.
    with capture_logs():
        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment, input=piped)


def done(result: Result) -> str:
    """What a command printed that must have succeeded."""
    assert result.exit_code == 0, result.output
    return result.stdout


def told(result: Result) -> list[Any]:
    """The JSON lines on standard output."""
    return [json.loads(line) for line in result.stdout.splitlines()]
