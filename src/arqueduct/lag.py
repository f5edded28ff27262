"""How late the event loop wakes up: the first sign that something blocks it."""

import asyncio

from arqueduct import metrics

__all__ = ["watch"]

INTERVAL = 0.25
FADING = 0.9
"""Of the worst delay seen, what is left a quarter of a second later: a scrape every 15 s still sees a stall."""


async def watch() -> None:
    """Measures for as long as the process lives."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        worst = max(loop.time() - due, worst * FADING)
        metrics.loop_lag_seconds.set(worst)
