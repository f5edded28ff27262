"""Answers kept for a moment: true after every change, and quick whatever becomes of Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from arq.connections import ArqRedis
from fastapi import FastAPI

from arqueduct.bus import connect
from arqueduct.cache import LOOK_AGAIN_SECONDS, Cache
from arqueduct.embedded.process import free_port
from arqueduct.embedded.valkey import EmbeddedValkey
from arqueduct.keys import Keys
from tests.integration.backend import services_of, upload
from tests.integration.file_sets import SETS, accepted, make, parts, statistics
from tests.integration.test_silent_redis import silent

__all__ = ["silent"]

LONG = timedelta(minutes=1)


class Counting:
    """Something slow, which knows how often it was done."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.done = 0

    async def __call__(self) -> bytes:
        self.done += 1
        return self.answers[min(self.done, len(self.answers)) - 1]


class Asked:
    """Counts the questions that go to a Redis."""

    def __init__(self, redis: ArqRedis) -> None:
        self.redis, self.times = redis, 0
        for name in ("mget", "set", "pipeline"):
            setattr(redis, name, self._counting(getattr(redis, name)))

    def _counting(self, question: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any, **named: Any) -> Any:
            self.times += 1
            return question(*given, **named)

        return ask


@pytest.fixture
def cache(redis: ArqRedis, keys: Keys) -> Cache:
    return Cache(redis, keys)


async def test_an_answer_is_counted_once_and_kept(cache: Cache) -> None:
    count = Counting(b"1", b"2")
    assert [await cache.get("n", count, ttl=LONG) for _ in range(3)] == [b"1"] * 3
    assert count.done == 1
    assert await cache.get("another", count, ttl=LONG) == b"2"


async def test_an_answer_may_be_any_bytes(cache: Cache) -> None:
    odd = bytes(range(256)) + b" \n "
    assert [await cache.get("n", Counting(odd), ttl=LONG) for _ in range(2)] == [odd, odd]


async def test_what_is_forgotten_is_counted_anew(cache: Cache) -> None:
    count = Counting(b"1", b"2")
    await cache.get("n", count, ttl=LONG)
    await cache.forget("n", "nobody asked for")
    assert [await cache.get("n", count, ttl=LONG) for _ in range(2)] == [b"2", b"2"]


async def test_an_answer_lapses(cache: Cache, redis: ArqRedis, keys: Keys) -> None:
    await cache.get("n", Counting(b"1"), ttl=timedelta(milliseconds=30))
    async with asyncio.timeout(5):
        while await redis.exists(keys.cached("n")):
            pass
    assert await cache.get("n", Counting(b"2"), ttl=LONG) == b"2"


async def test_an_answer_that_a_change_overtook_is_not_kept(cache: Cache) -> None:
    """Counted before the change, and done after it."""

    async def overtaken() -> bytes:
        await cache.forget("n")
        return b"old"

    assert await cache.get("n", overtaken, ttl=LONG) == b"old"
    assert await cache.get("n", Counting(b"new"), ttl=LONG) == b"new"


async def test_what_fails_is_not_kept(cache: Cache) -> None:
    async def failing() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cache.get("n", failing, ttl=LONG)
    assert await cache.get("n", Counting(b"1"), ttl=LONG) == b"1"


async def test_an_emptied_redis_costs_a_count(cache: Cache, redis: ArqRedis, keys: Keys) -> None:
    count = Counting(b"1", b"2")
    await cache.forget("n")
    await cache.get("n", count, ttl=LONG)
    await redis.delete(keys.cached("n"), keys.generation("n"))
    assert await cache.get("n", count, ttl=LONG) == b"2"
    await cache.forget("n")
    await redis.delete(keys.generation("n"))
    assert await cache.get("n", count, ttl=LONG) == b"2", "an answer without its generation is nobody's"


async def test_a_silent_redis_is_waited_for_once(silent: ArqRedis, keys: Keys) -> None:
    now, asked = [0.0], Asked(silent)
    cache, count = Cache(asked.redis, keys, clock=lambda: now[0]), Counting(b"1")
    for _ in range(50):
        assert await cache.get("n", count, ttl=LONG) == b"1"
        await cache.forget("n")
    assert (count.done, asked.times) == (50, 1)
    now[0] += LOOK_AGAIN_SECONDS
    await cache.get("n", count, ttl=LONG)
    assert asked.times == 2, "it is asked again after a while"


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A server that a test may stop."""
    server = EmbeddedValkey(tmp_path / "valkey", port=free_port())
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def test_a_redis_that_goes_and_comes_back(valkey: EmbeddedValkey, keys: Keys) -> None:
    redis, now, count = connect(valkey.url(), keys), [0.0], Counting(*(b"%d" % number for number in range(1, 1000)))
    asked = Asked(redis)
    cache = Cache(asked.redis, keys, clock=lambda: now[0])
    assert [await cache.get("n", count, ttl=LONG) for _ in range(2)] == [b"1", b"1"]
    await asyncio.to_thread(valkey.stop)
    before = asked.times
    assert [await cache.get("n", count, ttl=LONG) for _ in range(2)] == [b"2", b"3"]
    await cache.forget("n")
    assert asked.times == before + 1, "nobody asks one that is gone again and again"
    await asyncio.to_thread(valkey.start)
    async with asyncio.timeout(10):
        found, again = b"", b"-"
        while found != again:
            now[0] += LOOK_AGAIN_SECONDS
            found, again = again, await cache.get("n", count, ttl=LONG)
    await redis.aclose()


async def test_statistics_of_a_set_follow_every_change_of_it(api: httpx.AsyncClient) -> None:
    made = await make(api, ("a.txt", b"A."), ("b.txt", b"B."))

    async def files() -> int:
        found = [(await statistics(api, made))["total"]["files"] for _ in range(2)]
        assert found[0] == found[1]
        return int(found[0])

    first, second = accepted(made)
    assert await files() == 2
    await api.post(f"{SETS}/{made['id']}/files", files=parts([("c.txt", b"C.")]))
    assert await files() == 3
    other = (await upload(api, b"D.", "d.txt"))["document"]["id"]
    await api.post(f"{SETS}/{made['id']}/documents", json={"document_ids": [other]})
    assert await files() == 4
    await api.delete(f"{SETS}/{made['id']}/files/{first}")
    assert await files() == 3
    await api.delete(f"/api/v1/documents/{second}")
    assert await files() == 2
    await api.delete(f"{SETS}/{made['id']}")
    assert (await api.get(f"{SETS}/{made['id']}/statistics")).status_code == 404


async def test_kept_statistics_are_nobody_elses(api: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await make(api, ("a.txt", b"A."))
    await statistics(api, made)
    assert (await stranger.get(f"{SETS}/{made['id']}/statistics")).status_code == 404


async def test_statistics_are_kept(app: FastAPI, api: httpx.AsyncClient, keys: Keys) -> None:
    made = await make(api, ("a.txt", b"A."))
    await statistics(api, made)
    assert await services_of(app).redis.keys(f"{keys.cached('file-set-statistics')}*")
