"""What is asked at the same moment is answered together: one statement or one round trip for many."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

__all__ = ["Together"]

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    """Collects questions for one turn of the event loop, longer while `at_once` calls are under way.

    `answer` gets questions that weigh at most `most` together, or one that weighs more, and returns as many answers in
    the same order; what it raises, all of them get.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        at_once: int = 1,
        most: int = 1000,
        weigh: Callable[[Question], int] = lambda _: 1,
    ) -> None:
        self._answer = answer
        self._at_once = at_once
        self._most = most
        self._weigh = weigh
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._is_due = False

    async def ask(self, question: Question) -> Answer:
        """Waits for the answer. Who is cancelled meanwhile does not hear it; the question was asked all the same."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._schedule()
        return await future

    def _schedule(self) -> None:
        if self._waiting and not self._is_due and len(self._calls) < self._at_once:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_due = False
        waiting = [(question, future) for question, future in self._waiting if not future.done()]
        count = self._count(question for question, _ in waiting)
        waiting, self._waiting = waiting[:count], waiting[count:]
        if waiting:
            task = asyncio.create_task(self._call(waiting))
            self._calls.add(task)
            task.add_done_callback(self._end)
        self._schedule()

    def _count(self, questions: Iterable[Question]) -> int:
        """How many of them go into one call."""
        weight = count = 0
        for question in questions:
            weight += self._weigh(question)
            if count and weight > self._most:
                break
            count += 1
        return count

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._calls.discard(task)
        self._schedule()

    async def _call(self, waiting: "Sequence[tuple[Question, asyncio.Future[Answer]]]") -> None:
        try:
            answers = await self._answer([question for question, _ in waiting])
            found = list(zip(waiting, answers, strict=True))
        except BaseException as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in found:
            if not future.done():
                future.set_result(answer)
