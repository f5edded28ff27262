"""The end of a job in one transaction with the results of others that end at the same moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from arqueduct.database import Transaction
from arqueduct.errors import DependencyUnavailable, LeaseLost
from arqueduct.pipeline import Writer
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import End
from arqueduct.shared import Shared
from arqueduct_worker.reporter import Reporter

__all__ = ["SharedEnds"]

log = structlog.get_logger()

MOST = 32
"""Jobs in one transaction: enough that its statements cost each of them little, and few enough to wait for."""


class SharedEnds:
    """Ends jobs with their results, several of a tenant at a time."""

    def __init__(self, shared: Shared, reporter: Reporter) -> None:
        self._shared = shared
        self._reporter = reporter

    async def end(self, tenant_id: UUID, write: Writer[Any], result: Any, end: End) -> asyncpg.Record | None:
        """The row of a job that has completed. None, and nothing is written: its results or those of another were
        refused, or one of the attempts has lost its job. Raises `DependencyUnavailable`.
        """
        try:
            return await self._shared.ask(_Ends(write, self._reporter), tenant_id, (result, end), most=MOST)
        except DependencyUnavailable:
            raise
        except Exception as error:  # whose it is shows when each tries alone
            log.info("ends not shared", error=repr(error))
            return None


@dataclass(frozen=True)
class _Ends:
    write: Writer[Any]
    reporter: Reporter

    async def __call__(self, transaction: Transaction, ended: Sequence[tuple[Any, End]]) -> list[asyncpg.Record]:
        """The fenced ends come last, so that progress and heartbeats can write the rows until then."""
        ends = [end for _, end in ended]
        await self.write(transaction, [result for result, _ in ended])
        await self.reporter.flush(*((end.job_id, end.fence) for end in ends))
        rows = {(row["id"], row["fence"]): row for row in await jobs.complete_all(transaction.driver, ends)}
        if len(rows) < len(ends):
            raise LeaseLost
        return [rows[end.job_id, end.fence] for end in ends]
