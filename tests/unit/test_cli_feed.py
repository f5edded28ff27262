from collections.abc import AsyncIterator

import pytest

from arqueduct.cli.client import Client, connect
from arqueduct.cli.feed import Feed, Progress
from arqueduct.cli.server import Server
from arqueduct.lifecycle import JobState


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with connect(Server(url="http://127.0.0.1:1", api_key="k")) as client:
        yield client


def progress(seq: int, state: JobState = JobState.RUNNING) -> Progress:
    return Progress(job_id="1", state=state, stage="embedding", progress=seq / 10, seq=seq)


async def test_older_news_are_dropped(client: Client) -> None:
    heard: list[int] = []
    feed = Feed(client, lambda told: heard.append(told.seq))
    for seq in (2, 4, 3, 4, 7):
        feed.hear(progress(seq))
    assert heard == [2, 4, 7]


async def test_an_end_is_known_also_to_who_asks_later(client: Client) -> None:
    feed = Feed(client, lambda _: None)
    early = feed.end_of("1")
    assert not early.done()
    feed.hear(progress(9, JobState.COMPLETED))
    assert (await early).state is JobState.COMPLETED
    assert (await feed.end_of("1")).seq == 9
