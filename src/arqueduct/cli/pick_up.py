"""How long an idle service takes from the upload to the first word of a worker."""

import asyncio
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from arqueduct.cli.client import Client
from arqueduct.cli.feed import Progress, following
from arqueduct.cli.measuring import Latency, latency_of

__all__ = ["measure_pick_up"]

FIRST_STAGE = "downloading"


async def measure_pick_up(client: Client, times: int) -> Latency | None:
    """`times` uploads of a few words, each after the one before has ended. Removes its documents again."""
    began: dict[str, float] = {}

    def hear(progress: Progress) -> None:
        if progress.stage == FIRST_STAGE:
            began.setdefault(progress.job_id, time.perf_counter())

    taken = []
    with tempfile.TemporaryDirectory() as folder:
        async with following(client, hear) as feed:
            for number in range(times + 1):
                path = Path(folder, f"pick-up-{number}.txt")
                await asyncio.to_thread(path.write_text, f"A few words that nobody has stored yet: {uuid4()}.\n")
                sent = time.perf_counter()
                accepted = await client.upload(path, path.name)
                job_id = accepted["job"]["id"]
                await feed.end_of(job_id)
                if number and job_id in began:  # the first one only wakes everything up
                    taken.append(began[job_id] - sent)
                await client.delete(f"/documents/{accepted['document']['id']}")
    return latency_of(taken)
