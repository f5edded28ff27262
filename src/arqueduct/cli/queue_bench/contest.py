"""What a contest is, so that several can be run in the same rounds."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from arqueduct.cli.queue_bench.results import Measure, Pair

__all__ = ["Contest", "Plan"]


class Plan(NamedTuple):
    """How much to measure, and an empty folder to do it in."""

    folder: Path
    jobs: int
    """Of one measurement of wake-ups alone."""
    pick_ups: int
    whole_jobs: int
    """Of one measurement of whole jobs."""
    concurrency: int
    """Whole jobs that a worker process runs at a time."""
    peers: Path | None
    """A Python that has procrastinate."""


class Contest(ABC):
    """We and a rival, measured in the same way. Its servers run for as long as it is open."""

    name: ClassVar[str]
    ours: ClassVar[str]
    measures: ClassVar[Sequence[Measure]]
    rival: str
    left_out: str | None = None
    """Why the rival is not measured."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, int | str]:
        """What somebody needs to know to measure the same."""

    @abstractmethod
    async def round(self) -> dict[Measure, Pair]:
        """Measures everything once: what we reached, and what the rival did, if it is there."""
