"""A Redis that accepts connections and then says nothing: worse than one that is gone, and nobody waits for it long."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from arq.connections import ArqRedis

from arqueduct.bus import MOST_SECONDS, Bus, connect
from arqueduct.events import Control
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.lifecycle import Action
from arqueduct.queue import Queue, WakeUp

MARGIN = 1.5
"""Seconds that a busy machine may add."""


@pytest.fixture
async def silent(keys: Keys) -> AsyncIterator[ArqRedis]:
    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: asked.append(writer), "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", keys)
    yield client
    await client.aclose()
    for writer in asked:
        writer.close()
    server.close()
    assert asked, "nobody connected"


Say = Callable[[ArqRedis, Keys], Awaitable[bool]]

WORDS: dict[str, Say] = {
    "progress": lambda redis, keys: Bus(redis, keys).publish([(new_id(), b"{}")]),
    "a wish": lambda redis, keys: Bus(redis, keys).tell_workers(Control(action=Action.CANCEL, job_id=new_id())),
    "a wake-up": lambda redis, keys: Queue(redis, keys).send([WakeUp(new_id(), 0, datetime.now(UTC))]),
}


@pytest.mark.parametrize("what", WORDS)
async def test_who_speaks_to_it_goes_on(what: str, silent: ArqRedis, keys: Keys) -> None:
    began = time.monotonic()
    assert await WORDS[what](silent, keys) is False
    assert time.monotonic() - began < MOST_SECONDS + MARGIN
