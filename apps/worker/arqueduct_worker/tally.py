"""What a run of upkeep has done so far, and where it is: written beside what it did, told as progress."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from uuid import UUID

from arqueduct.database import Transaction
from arqueduct.pipeline import StageContext
from arqueduct.repositories import upkeep
from arqueduct.repositories.upkeep import SAMPLE
from arqueduct.storage import StoredFile

__all__ = ["Tally"]


class Tally:
    """Goes on from the report of earlier attempts, so that a run which was snoozed gets further and counts once.

    Each write is fenced: it raises `LeaseLost`, and takes what its transaction did along, if another attempt has the
    job by now.
    """

    def __init__(self, context: StageContext, report: dict[str, Any]) -> None:
        self._context = context
        self._report = report
        self._passed = self._total = 0

    @classmethod
    async def open(cls, context: StageContext) -> "Tally":
        async with context.database.transaction(context.job.tenant_id) as transaction:
            return cls(context, await upkeep.report_of(transaction.driver, context.job.job_id))

    def rows(self, name: str) -> int:
        """Done about a target, by all attempts."""
        entry = self._report.get("targets", {}).get(name)
        return entry["rows"] if entry else 0

    def fact(self, name: str) -> Any:
        """What `put` wrote, perhaps in an earlier attempt."""
        return self._report.get(name)

    def place(self, step: str) -> Any:
        """Where an earlier attempt got to in a step; none at its beginning."""
        return self._report.get("place", {}).get(step)

    def expect(self, total: int) -> None:
        """How much this attempt has to look at. Until that is known nothing is told."""
        self._total = total
        self.passed(0)

    def passed(self, items: int) -> None:
        """So much more was looked at, whether or not something was done about it."""
        self._passed += items
        self._context.progress(min(self._passed, self._total), self._total, "items")

    def note(self, name: str, *, rows: int, bytes: int = 0, ids: Iterable[UUID | str] = ()) -> None:
        """So much more, from the next write on."""
        targets = self._report.setdefault("targets", {})
        entry = targets.setdefault(name, {"rows": 0, "bytes": 0, "sample": []})
        entry["rows"] += rows
        entry["bytes"] += bytes
        entry["sample"] = [*entry["sample"], *map(str, ids)][:SAMPLE]

    def forget(self, name: str) -> None:
        """Nothing is known of a target, from the next write on."""
        self._report.get("targets", {}).pop(name, None)

    def reach(self, step: str, place: Any) -> None:
        """Where a step is, from the next write on: an attempt that comes later begins there."""
        self._report.setdefault("place", {})[step] = place
        self._context.has_advanced = True

    async def add(
        self, transaction: Transaction, name: str, *, rows: int, bytes: int = 0, ids: Iterable[UUID | str] = ()
    ) -> None:
        """So much more, in the transaction in which it is done for good."""
        self.note(name, rows=rows, bytes=bytes, ids=ids)
        await self.put(transaction)
        self._context.has_advanced = True

    async def put(self, transaction: Transaction, **facts: Any) -> None:
        """Writes what was noted and reached, and facts beside it."""
        self._report.update(facts)
        job = self._context.job
        await upkeep.write_report(transaction.driver, job.job_id, job.attempt, self._report)

    async def begin_anew(self, transaction: Transaction, **facts: Any) -> None:
        """Forgets what earlier attempts did."""
        self._report.clear()
        await self.put(transaction, **facts)

    async def walk(self, step: str, prefixes: Sequence[str]) -> AsyncIterator[list[StoredFile]]:
        """The files below these prefixes, from where an earlier attempt got to; after each page writes what was noted.

        Where the storage has no order, an attempt walks from the beginning.
        """
        storage = self._context.storage
        after: str | None = self.place(step)
        for prefix in prefixes:
            if after is not None and not after.startswith(f"{prefix}/"):
                continue
            async for page in storage.pages(prefix, after=after):
                self._context.checkpoint()
                yield page
                if storage.is_in_order:
                    self.reach(step, page[-1].key)
                async with self._context.database.transaction(self._context.job.tenant_id) as transaction:
                    await self.put(transaction)
                self.passed(len(page))
            after = None
