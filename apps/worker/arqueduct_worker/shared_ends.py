"""The end of a job in one transaction with the results of others that end at the same moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from arqueduct.database import Transaction
from arqueduct.errors import LeaseLost
from arqueduct.pipeline import Writer
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import End
from arqueduct.shared import Shared
from arqueduct_worker.reporter import Reporter

__all__ = ["Ended", "SharedEnds"]

log = structlog.get_logger()

MOST = 32
"""Jobs in one transaction: enough that its statements cost each of them little, and few enough to wait for."""


class Ended:
    """A job that wants to end, with its results. Until a transaction takes it up it can be withdrawn."""

    def __init__(self, result: Any, end: End) -> None:
        self.result = result
        self.end = end
        self._is_taken = self._is_withdrawn = False

    def withdraw(self) -> bool:
        """False: too late, it may be committed at any moment."""
        self._is_withdrawn = not self._is_taken
        return self._is_withdrawn

    def take(self) -> bool:
        """False: it was withdrawn."""
        self._is_taken = not self._is_withdrawn
        return self._is_taken


class SharedEnds:
    """Ends jobs with their results, several of a tenant at a time."""

    def __init__(self, shared: Shared, reporter: Reporter) -> None:
        self._shared = shared
        self._reporter = reporter

    async def end(self, tenant_id: UUID, write: Writer[Any], ended: Ended) -> asyncpg.Record | None:
        """The row of a job that has completed. None, and nothing is written: it was withdrawn, or something went wrong
        with all that share the transaction. Whose fault that was shows when each tries alone.
        """
        try:
            return await self._shared.ask(_Ends(write, self._reporter), tenant_id, ended, most=MOST)
        except Exception as error:
            log.info("ends not shared", error=repr(error))
            return None


@dataclass(frozen=True)
class _Ends:
    write: Writer[Any]
    reporter: Reporter

    async def __call__(self, transaction: Transaction, wanted: Sequence[Ended]) -> list[asyncpg.Record | None]:
        """The fenced ends come last, so that progress and heartbeats can write the rows until then."""
        taken = [one for one in wanted if one.take()]
        ends = [one.end for one in taken]
        if not taken:
            return [None for _ in wanted]
        await self.write(transaction, [one.result for one in taken])
        await self.reporter.flush(*((end.job_id, end.fence) for end in ends))
        rows = {(row["id"], row["fence"]): row for row in await jobs.complete_all(transaction.driver, ends)}
        if len(rows) < len(ends):
            raise LeaseLost
        return [rows.get((one.end.job_id, one.end.fence)) for one in wanted]
