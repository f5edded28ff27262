"""Moves new vectors into the index when there is nothing better to do. Runs in every worker; an advisory lock lets one
merge at a time.

Each batch is a transaction of its own, so nobody waits long for a lock, and a stop loses one batch. Until then, and in
between, a search finds the vectors where they are (docs/decisions/0019).
"""

import asyncio
import random
import time
from datetime import timedelta

import structlog

from arqueduct import metrics
from arqueduct.errors import DependencyUnavailable
from arqueduct.repositories import vectors
from arqueduct_worker.services import Services

__all__ = ["Merger"]

log = structlog.get_logger()

LOOK_SECONDS = 2
"""Between two counts of the head, over all workers: what comes meanwhile is by how much it can outgrow its limit."""

JITTER = 0.2
"""Share by which the pause varies, so that workers do not all ask at once."""

BATCH = 50
"""Vectors: a tenth of a second, with 384 dimensions, and that long a deletion of them waits."""

PAUSE_SECONDS = 0.05
"""Between two batches: those who serve go first."""


class Merger:
    """Merges, for all tenants."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """Merges for as long as the process lives."""
        while True:
            try:
                await self.merge()
            except DependencyUnavailable as error:
                log.warning("vectors not merged", error=str(error))
            except Exception:
                log.exception("vectors not merged")
            await asyncio.sleep(LOOK_SECONDS * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # spreads load

    async def merge(self) -> int:
        """Empties the head, as long as no job wants the machine; returns how many vectors it moved."""
        began, merged = time.monotonic(), 0
        while some := await self._merge_some():
            merged += some
            await asyncio.sleep(PAUSE_SECONDS)
        if merged:
            log.info("vectors merged", vectors=merged, took=round(time.monotonic() - began, 1))
        return merged

    async def _merge_some(self) -> int:
        services = self._services
        async with services.database.transaction() as transaction:
            head = await vectors.count_head(
                transaction.driver, most=services.settings.vector_head, every=timedelta(seconds=LOOK_SECONDS)
            )
            merged = 0 if len(services.leases) else await vectors.merge(transaction.driver, most=BATCH)
        metrics.vector_head.set(head)
        metrics.vectors_merged.inc(merged)
        return merged
