"""What a contest is, so that several can be run in the same rounds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from arqueduct.cli.queue_bench.results import Measure

__all__ = ["Contest", "Plan"]


class Plan(NamedTuple):
    """How much to measure, and an empty folder to do it in."""

    folder: Path
    jobs: int
    pick_ups: int


class Contest(ABC):
    """We and a rival, measured in the same way. Its servers run for as long as it is open."""

    name: ClassVar[str]
    ours: ClassVar[str]
    rival: ClassVar[str]
    measures: ClassVar[Sequence[Measure]]

    @abstractmethod
    async def round(self) -> dict[Measure, tuple[float, float]]:
        """Measures everything once: what we reached, and what the rival did."""
