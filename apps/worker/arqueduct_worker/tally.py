"""What a run of upkeep has done so far: written beside what it did, told as progress."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from arqueduct.database import Transaction
from arqueduct.pipeline import StageContext
from arqueduct.repositories import upkeep
from arqueduct.repositories.upkeep import SAMPLE

__all__ = ["Tally"]


class Tally:
    """Goes on from the report of earlier attempts, so that a run which was snoozed gets further and counts once."""

    def __init__(self, context: StageContext, report: dict[str, Any]) -> None:
        self._context = context
        self._report = report
        self.total = 0

    @classmethod
    async def open(cls, context: StageContext) -> "Tally":
        async with context.database.transaction(context.job.tenant_id) as transaction:
            return cls(context, await upkeep.report_of(transaction.driver, context.job.job_id))

    @property
    def done(self) -> int:
        return sum(entry["rows"] for entry in self._report.get("targets", {}).values())

    def expect(self, more: int) -> None:
        """How much is still to do, beside what is done."""
        self.total = self.done + more
        self._tell()

    async def add(
        self, transaction: Transaction, name: str, *, rows: int, bytes: int = 0, ids: Iterable[UUID | str] = ()
    ) -> None:
        """So much more, in the transaction in which it is done."""
        targets = self._report.setdefault("targets", {})
        entry = targets.setdefault(name, {"rows": 0, "bytes": 0, "sample": []})
        entry["rows"] += rows
        entry["bytes"] += bytes
        entry["sample"] = [*entry["sample"], *map(str, ids)][:SAMPLE]
        await upkeep.write_report(transaction.driver, self._context.job.job_id, self._report)
        self._tell()

    async def put(self, transaction: Transaction, **facts: Any) -> None:
        """Facts beside the counts."""
        self._report.update(facts)
        await upkeep.write_report(transaction.driver, self._context.job.job_id, self._report)

    def _tell(self) -> None:
        self._context.progress(self.done, max(self.total, self.done), "items")
