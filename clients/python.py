"""Writes `arqueduct.client`: its types and its operations, out of the OpenAPI description.

    python -m clients.python [--check]

A test sees that what is committed is what this writes.
"""

import subprocess
import sys
from pathlib import Path

from clients.models import models
from clients.operations import operations
from clients.schemas import Schema

__all__ = ["PACKAGE", "main", "written"]

HERE = Path(__file__).parents[1]
PACKAGE = HERE / "src" / "arqueduct" / "client"


def written(described: Schema) -> dict[str, str]:
    """The modules by their name, formatted."""
    return {"models.py": _formatted(models(described)), "operations.py": _formatted(operations(described))}


def main(*arguments: str) -> None:
    """Writes the modules; with `--check` it only says whether they are up to date."""
    from arqueduct.settings import Settings
    from arqueduct_backend.main import create_app

    found = written(create_app(Settings()).openapi())
    stale = [name for name, text in found.items() if not _is(PACKAGE / name, text)]
    if "--check" in arguments:
        sys.exit(f"Out of date: {', '.join(stale)}. Run `make clients`." if stale else 0)
    for name, text in found.items():
        (PACKAGE / name).write_text(text)


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    select = ["check", "--fix", "--quiet", "--select", "I,F401,RUF022", "--isolated", "--line-length", "120"]
    known = ["--config", 'lint.isort.known-first-party=["arqueduct"]']
    for command in (
        [*ruff, *select, *known, "--stdin-filename", "generated.py", "-"],
        [*ruff, "format", "--isolated", "--line-length", "120", "-"],
    ):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if not done.stdout:
            sys.exit(done.stderr)
        text = done.stdout
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])
