"""The client's own way to news: the socket, and HTTP where there is none."""

import asyncio
from pathlib import Path
from uuid import uuid4

from arqueduct.cli.client import connect
from arqueduct.cli.feed import Feed, Progress, following
from arqueduct.cli.server import Server
from arqueduct.lifecycle import JobState
from tests.acceptance.conftest import Running


def _document(folder: Path) -> Path:
    path = folder / "gard.txt"
    path.write_text(f"The Pont du Gard carries water over the river Gardon. {uuid4()}")
    return path


async def test_the_socket_tells_every_stage_in_order(running: Running, tmp_path: Path) -> None:
    heard: list[Progress] = []
    async with (
        connect(Server(url=running.url, api_key=running.api_key)) as client,
        following(client, heard.append) as feed,
    ):
        assert feed.open.is_set()
        accepted = await client.upload(_document(tmp_path), "gard.txt")
        end = await feed.end_of(accepted["job"]["id"])
    ours = [told for told in heard if told.job_id == accepted["job"]["id"]]
    stages = list(dict.fromkeys(told.stage for told in ours))
    assert stages == ["queued", "downloading", "extracting", "chunking", "embedding", "storing", "completed"]
    assert end.state is JobState.COMPLETED


async def test_without_a_socket_the_end_is_asked_for(running: Running, tmp_path: Path) -> None:
    async with connect(Server(url=running.url, api_key=running.api_key)) as client:
        feed = Feed(client, lambda _: None)
        asking = asyncio.create_task(feed.ask())
        accepted = await client.upload(_document(tmp_path), "gard.txt")
        end = await asyncio.wait_for(feed.end_of(accepted["job"]["id"]), 30)
        asking.cancel()
    assert end.state is JobState.COMPLETED


async def test_a_document_that_was_deleted_meanwhile_ends_too(running: Running) -> None:
    async with connect(Server(url=running.url, api_key=running.api_key)) as client:
        feed = Feed(client, lambda _: None)
        asking = asyncio.create_task(feed.ask())
        end = await asyncio.wait_for(feed.end_of(str(uuid4())), 30)
        asking.cancel()
    assert end.state is JobState.CANCELLED
