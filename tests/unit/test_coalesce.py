"""Many calls in few requests: nothing twice, nothing lost, nobody harmed by another."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from arqueduct.embedding import Vectors
from arqueduct.embedding.coalesce import CoalescingEmbedder
from arqueduct.errors import DependencyUnavailable, EmbeddingRejected
from arqueduct.testing import HashingEmbedder


class Gated(HashingEmbedder):
    """Answers when the gate is open; remembers what was asked; refuses `bad`, is away for `away`."""

    def __init__(self, *, batch: int = 4) -> None:
        super().__init__(16, batch=batch)
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[list[str]] = []
        self.asking = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        self.asking.set()
        await self.gate.wait()
        if "bad" in texts:
            raise EmbeddingRejected
        if "away" in texts:
            raise DependencyUnavailable
        return await super().embed(texts)


async def test_small_calls_become_full_requests() -> None:
    inner = Gated()
    embedder = CoalescingEmbedder(inner, requests=2)
    results = await asyncio.gather(*[embedder.embed([f"{call} a", f"{call} b"]) for call in range(4)])
    assert [len(texts) for texts in inner.asked] == [4, 4]
    for call, vectors in enumerate(results):
        np.testing.assert_array_equal(vectors, await HashingEmbedder(16).embed([f"{call} a", f"{call} b"]))


async def test_a_text_that_many_want_is_bought_once() -> None:
    inner = Gated()
    embedder = CoalescingEmbedder(inner, requests=1)
    first, second = await asyncio.gather(embedder.embed(["same", "same", "own"]), embedder.embed(["other", "same"]))
    assert inner.asked == [["same", "own", "other"]]
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], second[1])


async def test_a_text_under_way_is_not_asked_for_again() -> None:
    inner = Gated()
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=2, wait=timedelta())
    first = asyncio.ensure_future(embedder.embed(["same"]))
    await inner.asking.wait()
    second = asyncio.ensure_future(embedder.embed(["same"]))
    inner.gate.set()
    np.testing.assert_array_equal(await first, await second)
    assert inner.asked == [["same"]]


async def test_no_texts_ask_nobody() -> None:
    inner = Gated()
    assert (await CoalescingEmbedder(inner, requests=1).embed([])).shape == (0, 16)
    assert inner.asked == []


async def test_a_cancelled_call_takes_back_its_own_texts_only() -> None:
    inner = Gated(batch=2)
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=1)
    running = asyncio.ensure_future(embedder.embed(["one", "two"]))
    await inner.asking.wait()
    doomed = asyncio.ensure_future(embedder.embed(["shared", "alone", "two"]))
    other = asyncio.ensure_future(embedder.embed(["shared"]))
    await asyncio.sleep(0)
    doomed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    inner.gate.set()
    assert len(await running) == 2
    assert len(await other) == 1
    assert inner.asked == [["one", "two"], ["shared"]]


async def test_a_call_cancelled_under_way_leaves_the_others_whole() -> None:
    inner = Gated(batch=3)
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=1)
    doomed = asyncio.ensure_future(embedder.embed(["one", "shared"]))
    other = asyncio.ensure_future(embedder.embed(["shared", "two"]))
    await inner.asking.wait()
    doomed.cancel()
    inner.gate.set()
    assert len(await other) == 2
    assert inner.asked == [["one", "shared", "two"]]


async def test_a_refused_text_fails_its_own_call() -> None:
    inner = Gated(batch=8)
    embedder = CoalescingEmbedder(inner, requests=1)
    results = await asyncio.gather(
        embedder.embed(["good", "shared"]),
        embedder.embed(["bad", "shared"]),
        embedder.embed(["fine"]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [np.ndarray, EmbeddingRejected, np.ndarray]
    assert sorted(map(len, inner.asked)) == [1, 1, 1, 1, 4]  # all together; then by who wants them
    assert len(await embedder.embed(["good", "shared", "fine"])) == 3


async def test_a_provider_that_is_away_fails_all_calls_of_the_request() -> None:
    inner = Gated(batch=8)
    embedder = CoalescingEmbedder(inner, requests=1)
    results = await asyncio.gather(embedder.embed(["away"]), embedder.embed(["x"]), return_exceptions=True)
    assert [type(result) for result in results] == [DependencyUnavailable] * 2
    assert len(inner.asked) == 1
    assert len(await embedder.embed(["x"])) == 1


async def test_requests_are_bounded_and_wait_for_company() -> None:
    inner = Gated(batch=2)
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=2)
    calls = [asyncio.ensure_future(embedder.embed([str(number)])) for number in range(9)]
    await inner.asking.wait()
    await asyncio.sleep(0)
    assert len(inner.asked) == 2
    inner.gate.set()
    await asyncio.gather(*calls)
    assert [len(texts) for texts in inner.asked] == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("requests", [1, 2])
async def test_who_waits_for_company_goes_when_the_last_request_returns(requests: int) -> None:
    inner = Gated(batch=2)
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=requests, wait=timedelta(hours=1))
    full = asyncio.ensure_future(embedder.embed(["one", "two"]))
    await inner.asking.wait()
    lone = asyncio.ensure_future(embedder.embed(["three"]))
    await asyncio.sleep(0)
    assert inner.asked == [["one", "two"]]
    inner.gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(full, lone)
    assert inner.asked == [["one", "two"], ["three"]]
    await embedder.aclose()


async def test_queries_do_not_wait_for_texts() -> None:
    inner = Gated()
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=1)
    waiting = asyncio.ensure_future(embedder.embed(["x"]))
    assert (await embedder.embed_query("now")).shape == (16,)
    inner.gate.set()
    await waiting


async def test_closing_fails_who_waits_and_leaves_no_task() -> None:
    inner = Gated(batch=1)
    inner.gate.clear()
    embedder = CoalescingEmbedder(inner, requests=1)
    calls = [asyncio.ensure_future(embedder.embed([text])) for text in ("under way", "waiting")]
    await inner.asking.wait()
    await embedder.aclose()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [DependencyUnavailable] * 2
    assert inner.closed
    with pytest.raises(DependencyUnavailable):
        await embedder.embed(["late"])


async def test_a_hundred_calls_and_random_cancellations() -> None:
    inner = Gated(batch=7)
    embedder = CoalescingEmbedder(inner, requests=3)
    calls = [
        asyncio.ensure_future(embedder.embed([f"text {(call * step) % 97}" for step in range(1, 12)]))
        for call in range(100)
    ]
    await inner.asking.wait()
    for call in calls[::3]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    for number, result in enumerate(results):
        if number % 3 == 0:
            assert isinstance(result, asyncio.CancelledError)
            continue
        expected = await HashingEmbedder(16).embed([f"text {(number * step) % 97}" for step in range(1, 12)])
        np.testing.assert_array_equal(result, expected)
