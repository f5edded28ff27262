"""Whom we measure ourselves against, and which of them are installed."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OURS", "PEERS", "Side", "left_out"]

ROOT = Path(__file__).parents[1]
HERE = Path(sys.executable)
LEAST_GIVEN = 16
"""Documents: a side that runs ten at a time must not be measured by the one that is left over."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A module of `benchmarks.sides` and the Python that runs it."""

    name: str
    label: str
    module: str
    environment: str | None = None
    """Name of the folder `.venv-peers-NAME`; `None`: our own environment has all it needs."""
    share: float = 1.0
    """Part of the documents that it gets, the smallest, where all would take it minutes: its speed is compared."""

    def python(self, folder: Path = ROOT) -> Path:
        """Not resolved: behind the link its packages would not be found."""
        return HERE if self.environment is None else folder / f".venv-peers-{self.environment}" / "bin" / "python"

    def given(self, documents: Sequence[Path]) -> list[Path]:
        """Its documents."""
        if self.share == 1:
            return list(documents)
        by_size = sorted(documents, key=lambda path: (path.stat().st_size, path.name))
        return by_size[: max(LEAST_GIVEN, round(self.share * len(documents)))]

    def is_installed(self, folder: Path = ROOT) -> bool:
        return self.python(folder).exists()


OURS = Side(name="ours", label="Arqueduct", module="ours")
PEERS = {
    side.name: side
    for side in (
        Side(name="bare_loop", label="bare loop", module="bare_loop"),
        Side(name="naive_arq", label="naive arq", module="naive_arq", share=0.25),
        Side(name="llamaindex", label="LlamaIndex", module="llamaindex_pipeline", environment="llamaindex"),
        Side(name="langchain", label="LangChain", module="langchain_loader", environment="langchain"),
        Side(name="celery", label="Celery", module="celery_prefork", environment="celery"),
    )
}


def left_out(sides: Iterable[Side], folder: Path = ROOT) -> dict[str, str]:
    """Why each that cannot run is left out, by name."""
    return {
        side.name: f"{side.label} is left out: `make .venv-peers-{side.environment}/.installed` installs it."
        for side in sides
        if not side.is_installed(folder)
    }
