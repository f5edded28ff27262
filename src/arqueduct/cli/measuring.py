"""What a benchmark reads while others work: metrics, memory, latencies."""

import asyncio
import importlib
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from arqueduct.cli.client import Client
from arqueduct.errors import ArqueductError, SetupError

__all__ = ["Latency", "Memory", "Reading", "latency_of", "read_metrics", "sampling"]

STAGE_SECONDS = "document_processing_duration_seconds_sum"
COUNTERS = {"arqueduct_pages_total": "pages", "arqueduct_chunks_total": "chunks"}
MEMORY_SECONDS = 0.25
ASK_SECONDS = 0.05
"""Between two requests of the client that measures: it should feel the load, not make it."""
ROUTES = ("/documents", "/jobs")


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    p50: float
    p95: float
    count: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Totals over all workers at one moment."""

    stages: dict[str, float]
    """Seconds by stage."""
    counters: dict[str, float]

    def since(self, before: "Reading") -> "Reading":
        return Reading(stages=_less(self.stages, before.stages), counters=_less(self.counters, before.counters))


def latency_of(seconds: Sequence[float]) -> Latency | None:
    if not seconds:
        return None
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] * 1000 for share in (0.5, 0.95)]
    return Latency(p50=round(at[0], 1), p95=round(at[1], 1), count=len(ordered))


async def read_metrics(urls: Iterable[str]) -> Reading:
    """Raises `SetupError` if one does not answer."""
    stages: dict[str, float] = defaultdict(float)
    counters: dict[str, float] = dict.fromkeys(COUNTERS.values(), 0.0)
    async with httpx.AsyncClient(trust_env=False) as http:
        for url in urls:
            try:
                page = (await http.get(url)).raise_for_status().text
            except httpx.HTTPError as error:
                raise SetupError(f"{url} does not answer: {error!r}") from error
            for sample in (sample for family in text_string_to_metric_families(page) for sample in family.samples):
                if sample.name == STAGE_SECONDS:
                    stages[sample.labels["stage"]] += sample.value
                elif sample.name in COUNTERS:
                    counters[COUNTERS[sample.name]] += sample.value
    return Reading(stages=dict(stages), counters=counters)


class Memory:
    """Peaks of resident memory in bytes by process; of parsers and of Postgres's backends the largest counts."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        try:
            self._psutil = importlib.import_module("psutil")
        except ModuleNotFoundError as error:
            raise SetupError("psutil is not installed.", advice="Run `pip install 'arqueduct[embedded]'`.") from error
        self._pids = pids
        self.peaks: dict[str, int] = {}

    def look(self) -> None:
        for role, pids in self._pids.items():
            for number, pid in enumerate(pids, 1):
                name = role if len(pids) == 1 else f"{role}-{number}"
                with suppress(self._psutil.Error):  # it ended meanwhile
                    process = self._psutil.Process(pid)
                    self._note(name, process)
                    if role != "up":  # its children have roles of their own
                        for child in process.children(recursive=True):
                            self._note(f"{name} child", child)

    def _note(self, name: str, process: Any) -> None:
        with suppress(self._psutil.Error):
            self.peaks[name] = max(self.peaks.get(name, 0), process.memory_info().rss)


class Samples:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.seconds: dict[str, list[float]] = {f"GET {route}": [] for route in ROUTES}

    async def watch_memory(self) -> None:
        while True:
            await asyncio.to_thread(self.memory.look)
            await asyncio.sleep(MEMORY_SECONDS)

    async def ask(self, client: Client) -> None:
        while True:
            for route in ROUTES:
                began = time.perf_counter()
                with suppress(ArqueductError):  # a failure shows in the run itself
                    await client.get(route, limit=20)
                    self.seconds[f"GET {route}"].append(time.perf_counter() - began)
                await asyncio.sleep(ASK_SECONDS)


@asynccontextmanager
async def sampling(client: Client, pids: Mapping[str, Sequence[int]]) -> AsyncIterator[Samples]:
    """Looks at memory and asks the API for as long as the block lasts."""
    samples = Samples(Memory(pids))
    tasks = [asyncio.create_task(samples.watch_memory()), asyncio.create_task(samples.ask(client))]
    try:
        yield samples
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _less(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}
