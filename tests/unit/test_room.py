"""Room that many share: first come, first served, whoever is cancelled."""

import asyncio

import pytest

from arqueduct.room import Room


async def test_who_needs_more_than_is_left_waits_and_is_not_overtaken() -> None:
    room, order = Room(10), []

    async def take(name: str, amount: int) -> None:
        await room.take(amount)
        order.append(name)

    await take("first", 8)
    waiting = [asyncio.create_task(take(name, amount)) for name, amount in (("large", 9), ("small", 1))]
    await asyncio.sleep(0)
    assert order == ["first"]
    room.give(8)
    await asyncio.gather(*waiting)
    assert order == ["first", "large", "small"]


async def test_more_than_there_is_counts_as_all() -> None:
    room = Room(10)
    assert await room.take(25) == 10
    room.give(10)
    assert await room.take(10) == 10


@pytest.mark.parametrize("when", ["waiting", "called"])
async def test_who_is_cancelled_keeps_no_room(when: str) -> None:
    room = Room(10)
    await room.take(10)
    cancelled = asyncio.create_task(room.take(10))
    next_one = asyncio.create_task(room.take(1))
    await asyncio.sleep(0)
    if when == "called":
        room.give(10)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    if when == "waiting":
        room.give(10)
    assert await next_one == 1
    assert await room.take(9) == 9
