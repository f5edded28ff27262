"""What a client hears over the socket while a project runs."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise

import msgspec

from arqueduct.cli.client import Client
from arqueduct.cli.eta_errors import EtaErrors, Sample, errors_of
from arqueduct.cli.family_bench.results import Heard, Snapshot
from arqueduct.cli.feed import open_socket
from arqueduct.errors import SetupError
from arqueduct.lifecycle import FINAL, JobState

__all__ = ["Hearing", "hearing", "snapshot"]

SNAPSHOT_SECONDS = 30.0


class _Told(msgspec.Struct, frozen=True):
    """What is read of a message about a job."""

    type: str
    job_id: str | None = None
    parent_id: str | None = None
    state: JobState | None = None
    eta_seconds: int | None = None
    eta_range: list[int] | None = None
    timestamp: datetime | None = None


class _Snapshot(msgspec.Struct):
    jobs: list[msgspec.Raw]


_told = msgspec.json.Decoder(_Told)
_snapshot = msgspec.json.Decoder(_Snapshot)


class Hearing:
    """Everything that was told since the socket was opened, by the parent that it is about."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self._parents: dict[str, list[tuple[float, _Told]]] = {}
        self._children: dict[str, list[datetime]] = {}

    def take(self, text: str | bytes) -> None:
        told = _told.decode(text)
        self.types[told.type] += 1
        if told.job_id is None or told.timestamp is None:
            return
        if told.parent_id is None:
            self._parents.setdefault(told.job_id, []).append((time.monotonic(), told))
        elif told.state is not JobState.QUEUED:
            self._children.setdefault(told.parent_id, []).append(told.timestamp)

    def has_ended(self, parent_id: str) -> bool:
        return any(told.state in FINAL for _, told in self._parents.get(parent_id, ()))

    def of(self, parent_id: str, interval: float) -> Heard:
        """About the parent and its children; what a parent's own end tells is counted too."""
        about = self._parents.get(parent_id, [])
        # What it tells from its first child that runs; how long it waited before says nothing.
        times = sorted(told.timestamp for _, told in about if told.timestamp and told.state is not JobState.QUEUED)
        gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
        return Heard(
            messages=sum(self.types.values()),
            about_children=len(self._children.get(parent_id, ())),
            about_parent=len(about),
            parent_per_second=round(len(gaps) / sum(gaps), 3) if gaps and sum(gaps) else None,
            least_gap=round(min(gaps), 3) if gaps else None,
            interval=interval,
        )

    def working_seconds(self, parent_id: str) -> float:
        """From the first word about a child that runs to the last word about any."""
        times = self._children.get(parent_id, [])
        return (max(times) - min(times)).total_seconds() if times else 0.0

    def eta(self, parent_id: str) -> EtaErrors:
        """How wrong the parent's estimates were, as they were told."""
        about = self._parents.get(parent_id, [])
        ends = [(parent_id, at) for at, told in about if told.state in FINAL]
        return errors_of(_samples(parent_id, about), dict(ends))["running"]


def _samples(parent_id: str, about: Sequence[tuple[float, _Told]]) -> list[Sample]:
    return [
        Sample(job_id=parent_id, at=at, phase="running", seconds=told.eta_seconds, range=told.eta_range)
        for at, told in about
        if told.state is JobState.RUNNING
    ]


@asynccontextmanager
async def hearing(client: Client) -> AsyncIterator[Hearing]:
    """Listens for as long as the block lasts. Raises `SetupError` if the connection broke meanwhile."""
    heard = Hearing()
    async with open_socket(client.server) as socket:

        async def listen() -> None:
            async for text in socket:
                heard.take(text)

        listening = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            was_cut = listening.done()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    if was_cut:
        raise SetupError("The socket of the benchmark was closed while it listened.")


async def snapshot(client: Client) -> Snapshot:
    """Opens a socket and waits for what it is told first."""
    began = time.perf_counter()
    async with asyncio.timeout(SNAPSHOT_SECONDS), open_socket(client.server) as socket:
        async for text in socket:
            if _told.decode(text).type == "snapshot":
                took = time.perf_counter() - began
                return Snapshot(ms=round(took * 1000, 1), jobs=len(_snapshot.decode(text).jobs), size=len(text))
    raise SetupError("The socket was closed before its snapshot.")
