"""How long the API takes to answer, asked one time after the other as a page would."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from arqueduct.cli.client import Body, Client
from arqueduct.cli.measuring import Latency, latency_of
from arqueduct.errors import SetupError

__all__ = ["ask", "ask_until", "recount"]

PAUSE_SECONDS = 0.02
"""Between two requests: the client should feel the load, not make it."""


async def ask(client: Client, path: str, times: int, **parameters: Any) -> Latency:
    """So many times."""
    seconds = [await _once(client, path, parameters) for _ in range(times)]
    return _latency(seconds)


async def ask_until(client: Client, path: str, is_over: Callable[[], bool], *, seconds: float) -> Latency:
    """Until it is over, at least once. Raises `SetupError` when that takes longer than `seconds`."""
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    while not (taken and is_over()):
        if time.monotonic() > deadline:
            raise SetupError(f"The benchmark's project did not end in {seconds:.0f} s.")
        taken.append(await _once(client, path, {}))
    return _latency(taken)


async def recount(client: Client, path: str) -> Body:
    """The status, after it was compared with all of its files. Raises `SetupError` where the two differ."""
    status = await client.get(f"{path}/status")
    states: Counter[str] = Counter()
    done = 0
    async for file in client.pages(f"{path}/files"):
        states[file["state"]] += 1
        done += file["size"] if file["state"] == "completed" else 0
    counts = status["counts"]
    told = Counter({state: counts[state] for state in counts if state != "total" and counts[state]})
    if (told, counts["total"], status["bytes_done"]) != (states, sum(states.values()), done):
        raise SetupError(f"The status says {counts}, but its files say {dict(states)}: please report this.")
    return status


async def _once(client: Client, path: str, parameters: dict[str, Any]) -> float:
    began = time.perf_counter()
    await client.get(path, **parameters)
    took = time.perf_counter() - began
    await asyncio.sleep(PAUSE_SECONDS)
    return took


def _latency(seconds: list[float]) -> Latency:
    found = latency_of(seconds)
    assert found is not None  # noqa: S101  # there is at least one
    return found
