"""Jobs that are under way already, shown like uploads."""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from arqueduct.cli.client import Client
from arqueduct.cli.feed import Feed, Progress, following
from arqueduct.cli.uploads import Item, View, summarise
from arqueduct.cli.views import choose

__all__ = ["watch_jobs"]


async def watch_jobs(client: Client, job_ids: Sequence[UUID], *, json: bool, quiet: bool) -> bool:
    """To their ends; none named: all that are unfinished now. Whether all completed. Raises `NotFound`."""
    found = [await client.get(f"/jobs/{job_id}") for job_id in job_ids]
    if not job_ids:
        for state in ("running", "queued"):
            found += [job async for job in client.pages("/jobs", 1000, state=state)]
    items = {job["id"]: Item(name=await _name(client, job), job_id=job["id"]) for job in found}
    view = choose(json=json, quiet=quiet)
    began = time.monotonic()

    def hear(progress: Progress) -> None:
        if (item := items.get(progress.job_id)) is not None and item.ended is None:
            item.progress = progress
            view.moved(item)

    view.begin(list(items.values()))
    async with following(client, hear) as feed:
        for item in items.values():
            view.uploading(item)
        await asyncio.gather(*(_end(feed, item, view) for item in items.values()))
    view.finish(summarise(list(items.values()), time.monotonic() - began))
    return all(item.is_good for item in items.values())


async def _end(feed: Feed, item: Item, view: View) -> None:
    item.progress = await feed.end_of(item.job_id or "")
    item.ended = time.monotonic()
    view.ended(item)


async def _name(client: Client, job: dict[str, object]) -> str:
    if job.get("document_id") is None:
        return str(job["kind"])
    document = await client.get(f"/documents/{job['document_id']}")
    return str(document["name"])
