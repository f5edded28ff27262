"""Transactions that many tasks share: what is asked of the same tenant's rows at the same moment is asked at once."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from arqueduct.database import Database, Transaction
from arqueduct.together import Together

__all__ = ["Shared"]

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Shared:
    """Asks for many in one transaction, and each gets its own answer.

    It needs no timer: who asks while nothing is under way waits for nobody, and under load questions gather by
    themselves while the ones before are answered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: WeakValueDictionary[tuple[Any, UUID], Together[Any, Any]] = WeakValueDictionary()
        """Each lives for as long as somebody waits for it."""

    async def ask(
        self,
        answer: Callable[[Transaction, Sequence[Question]], Awaitable[Sequence[Answer]]],
        tenant_id: UUID,
        question: Question,
        *,
        most: int = 64,
        weigh: Callable[[Question], int] = lambda _: 1,
        at_once: int = 1,
    ) -> Answer:
        """The answer to one question. `answer` gets those that were asked of the same function for the same tenant, in
        a transaction of their own, and returns as many answers in the same order.

        Together they weigh at most `most`, if none alone weighs more. `at_once`: how many such transactions are under
        way; meanwhile the next fills up.

        What it raises, or the commit does, all who share the transaction get. Raises `DependencyUnavailable`.
        """
        key = answer, tenant_id
        together = self._open.get(key)
        if together is None:
            together = Together(partial(self._answer, answer, tenant_id), at_once=at_once, most=most, weigh=weigh)
            self._open[key] = together
        return await together.ask(question)  # type: ignore[no-any-return]  # one Together for each function

    async def _answer(
        self,
        answer: Callable[[Transaction, Sequence[Any]], Awaitable[Sequence[Any]]],
        tenant_id: UUID,
        questions: Sequence[Any],
    ) -> Sequence[Any]:
        async with self._database.transaction(tenant_id) as transaction:
            return await answer(transaction, questions)
