"""What is asked at the same moment is answered together."""

import asyncio
from collections.abc import Sequence

import pytest

from arqueduct.together import Together


async def test_questions_gather_while_a_call_is_under_way() -> None:
    calls: list[list[int]] = []
    go_on = asyncio.Event()

    async def answer(questions: Sequence[int]) -> Sequence[int]:
        calls.append(list(questions))
        await go_on.wait()
        return [-question for question in questions]

    together = Together(answer)
    first = asyncio.create_task(together.ask(1))
    while not calls:
        await asyncio.sleep(0)
    others = [asyncio.create_task(together.ask(question)) for question in (2, 3, 4)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, *others) == [-1, -2, -3, -4]
    assert calls == [[1], [2, 3, 4]]


async def test_a_call_gets_no_more_than_it_may() -> None:
    calls: list[int] = []

    async def answer(questions: Sequence[int]) -> Sequence[int]:
        calls.append(len(questions))
        return questions

    together = Together(answer, most=3)
    assert await asyncio.gather(*map(together.ask, range(8))) == list(range(8))
    assert calls == [3, 3, 2]


async def test_a_call_gets_no_more_than_it_may_weigh_or_one_that_weighs_more() -> None:
    calls: list[list[int]] = []

    async def answer(questions: Sequence[int]) -> Sequence[int]:
        calls.append(list(questions))
        return questions

    together = Together(answer, most=10, weigh=lambda question: question)
    await asyncio.gather(*map(together.ask, (4, 6, 1, 25, 3)))
    assert calls == [[4, 6], [1], [25], [3]]


async def test_all_of_a_call_get_what_it_raises_and_the_next_goes_on() -> None:
    async def answer(questions: Sequence[int]) -> Sequence[int]:
        if 1 in questions:
            raise ValueError("no")
        return questions

    together = Together(answer, most=2)
    found = await asyncio.gather(*map(together.ask, range(4)), return_exceptions=True)
    assert [type(each) for each in found] == [ValueError, ValueError, int, int]


async def test_who_is_cancelled_before_the_call_is_not_asked_for() -> None:
    calls: list[list[int]] = []

    async def answer(questions: Sequence[int]) -> Sequence[int]:
        calls.append(list(questions))
        return questions

    together = Together(answer)
    asking = [asyncio.create_task(together.ask(question)) for question in (1, 2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    assert await asking[1] == 2
    assert calls == [[2]]
