"""Turns: one holder at a time, by rank and then by arrival, whoever is cancelled."""

import asyncio

import pytest

from arqueduct.embedding.turns import Turns


async def test_rank_goes_before_arrival() -> None:
    turns, order = Turns(), []

    async def work(name: str, rank: int) -> None:
        async with turns.take(rank):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(work("first", 1), work("second", 1), work("third", 1), work("urgent", 0))
    assert order == ["first", "urgent", "second", "third"]


async def test_never_two_at_once() -> None:
    turns, inside = Turns(), 0

    async def work(rank: int) -> None:
        nonlocal inside
        async with turns.take(rank):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[work(number % 3) for number in range(50)])


@pytest.mark.parametrize("when", ["waiting", "called"])
async def test_a_cancelled_waiter_passes_its_turn_on(when: str) -> None:
    turns, last = Turns(), asyncio.Event()

    async def work(done: asyncio.Event) -> None:
        async with turns.take(1):
            done.set()

    async with turns.take(1):
        doomed = asyncio.ensure_future(work(asyncio.Event()))
        other = asyncio.ensure_future(work(last))
        await asyncio.sleep(0)
        if when == "waiting":
            doomed.cancel()
    doomed.cancel()
    async with asyncio.timeout(5):
        await last.wait()
    await asyncio.gather(doomed, other, return_exceptions=True)
    assert doomed.cancelled()


async def test_a_failure_inside_frees_the_turn() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        async with turns.take(1):
            raise ZeroDivisionError
    async with asyncio.timeout(5), turns.take(1):
        pass
