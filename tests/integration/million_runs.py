"""Measures the analytics of a million runs; no test. `pytest tests/integration/million_runs.py -s` prints it all.

The runs are made by SQL and written by the function that workers call, so the sums are what they would be.
"""

import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from arqueduct.cli.measuring import latency_of
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.many_jobs import Owner, owning
from tests.integration.test_analytics import URL, seed

RUNS, DAYS = 1_000_000, 90
REQUESTS = 40
"""Of each range."""
RANGES = {"a day": 1, "a week": 7, "30 days": 30, "all of it": 91.5}


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def test_a_million_runs(api: httpx.AsyncClient, me: NewIdentity, owner: Owner) -> None:
    began = time.monotonic()
    noted = await seed(owner, me, runs=RUNS, days=DAYS)
    took = time.monotonic() - began
    await owner.execute("ANALYZE")
    rows = await owner.fetchval("SELECT count(*) FROM stage_run_sums")
    print(f"\n{noted:,} runs over {DAYS} days, {rows:,} sums, noted at {noted / took:,.0f} a second")
    every: list[float] = []
    for name, days in RANGES.items():
        every += (seconds := [await _ask(api, days, number) for number in range(REQUESTS)])
        print(f"{name}: {latency_of(seconds)}, mean {statistics.mean(seconds) * 1000:.1f} ms")
    print(f"all ranges: {latency_of(every)}")
    print(f"GET /queue, to compare with: {latency_of([await _beside(api) for _ in range(REQUESTS)])}")


async def _ask(api: httpx.AsyncClient, days: float, number: int) -> float:
    """Seconds; every request has a range of its own, and every other one is of one user."""
    to = datetime.now(UTC) - timedelta(minutes=61 * (number % 10))
    range_ = {"from": (to - timedelta(days=days)).isoformat(), "to": to.isoformat()}
    began = time.perf_counter()
    answer = await api.get(URL, params={**range_, "user": ("all", "me")[number % 2]})
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["stages"]) == 5
    return took


async def _beside(api: httpx.AsyncClient) -> float:
    """A request that reads next to nothing: how busy the machine is."""
    began = time.perf_counter()
    assert (await api.get("/api/v1/queue")).status_code == 200
    return time.perf_counter() - began
