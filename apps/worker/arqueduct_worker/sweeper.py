"""Finds what was left behind and sends it on. Runs in every worker; an advisory lock lets one sweep at a time.

Each window of docs/job-lifecycle.md ("what can break, and how it heals") is one method here.
"""

import asyncio
import random
import time
from datetime import timedelta
from functools import cached_property
from uuid import UUID

import asyncpg
import structlog

from arqueduct import __version__, metrics
from arqueduct.bus import AWAY
from arqueduct.errors import DependencyUnavailable
from arqueduct.installed import Installed, of_registry
from arqueduct.repositories import admission, documents, installations, stage_runs, sweeps
from arqueduct.storage.layout import everywhere
from arqueduct_worker.services import Services

__all__ = ["Sweeper"]

log = structlog.get_logger()

JITTER = 0.2
"""Share by which the pause varies, so that workers do not all ask at once."""

CHANGES = 10_000
"""Of usage, added up in one sweep: some tens of milliseconds."""

COUNTING_SHARE = 0.1
"""Of the time, at most, that a worker counts the queue; with hundreds of thousands of jobs that takes long."""


class Sweeper:
    """Heals, for all tenants."""

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._lease = settings.lease_time
        self._sweep = settings.sweep
        self._redispatch = timedelta(seconds=settings.redispatch)

    @cached_property
    def _installed(self) -> Installed:
        return of_registry(self._services.registry, without=self._services.settings.disabled_stages)

    async def beat(self) -> None:
        """Gives signs of life for as long as the process lives; nothing else that takes long must silence them."""
        while True:
            try:
                await self._sign_of_life()
            except DependencyUnavailable as error:
                log.warning("no sign of life given", error=str(error))
            except Exception:
                log.exception("no sign of life given")
            await asyncio.sleep(self._services.settings.heartbeat)

    async def watch(self) -> None:
        """Counts the queue for the metrics for as long as the process lives."""
        while True:
            began = time.monotonic()
            try:
                await self._count()
            except DependencyUnavailable as error:
                log.warning("queue not counted", error=str(error))
            except Exception:
                log.exception("queue not counted")
            took = time.monotonic() - began
            await asyncio.sleep(max(self._services.settings.heartbeat, took / COUNTING_SHARE - took))

    async def run(self) -> None:
        """Sweeps for as long as the process lives."""
        while True:
            try:
                await self.sweep()
            except (DependencyUnavailable, *AWAY) as error:
                log.warning("sweep not finished", error=str(error))
            except Exception:
                log.exception("sweep failed")
            await asyncio.sleep(self._sweep * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # spreads load

    async def sweep(self) -> None:
        """One look at everything."""
        if not await self._recover_lapsed():
            return
        await self._readmit_lost()
        await self._finish_deletions()
        await self._fold_usage()

    async def _sign_of_life(self) -> None:
        services = self._services
        async with services.database.transaction() as transaction:
            await sweeps.beat(
                transaction.driver,
                services.name,
                version=__version__,
                concurrency=services.settings.worker_concurrency,
                running=len(services.leases),
            )
            await installations.tell(transaction.driver, services.name, self._installed)

    async def _count(self) -> None:
        services = self._services
        async with services.database.transaction() as transaction:
            health = await sweeps.health(transaction.driver, alive=services.settings.alive_time)
        for name, gauge in metrics.QUEUE_GAUGES.items():
            gauge.set(health[name])
        metrics.pool_in_use.set(services.database.in_use + services.stage_database.in_use)

    async def _recover_lapsed(self) -> bool:
        """Jobs whose worker gave no sign of life for a lease. False: another worker sweeps right now."""
        async with self._services.database.transaction() as transaction:
            driver = transaction.driver
            if not await driver.fetchval("SELECT pg_try_advisory_xact_lock($1)", sweeps.LOCK):
                return False
            await sweeps.forget_workers(driver, older=10 * self._lease)
            rows = await sweeps.lapsed(driver, max_crashes=self._services.settings.max_crashes)
            died = await stage_runs.died(driver, [(row["id"], row["fence"]) for row in rows]) if rows else []
        for row in rows:
            metrics.lease_expiries.inc()
            metrics.swept.labels(f"lease lapsed: {row['state']}").inc()
            log.warning("lease lapsed", job=str(row["id"]), state=row["state"], attempt=row["fence"])
        self._services.runs.died(self._services.registry, rows, died)
        await self._services.dispatcher.dispatch(rows)
        return True

    async def _readmit_lost(self) -> None:
        """Wake-ups that Redis no longer has, or that a worker took and then died before its claim."""
        services = self._services
        async with services.database.transaction() as transaction:
            unfollowed = await sweeps.unfollowed(transaction.driver, older=self._redispatch)
        lost = await services.queue.lost(unfollowed)
        if not lost:
            return
        async with services.database.transaction() as transaction:
            await admission.unadmit(transaction.driver, lost)
        metrics.swept.labels("wake-up lost").inc(len(lost))
        log.info("wake-ups lost; their jobs are in line again", jobs=len(lost))
        services.admitter.nudge()

    async def _fold_usage(self) -> None:
        """Adds up what came and went, so that a look at a quota reads few rows."""
        async with self._services.database.transaction() as transaction:
            await transaction.driver.fetchval("SELECT fold_usage($1)", CHANGES)

    async def _finish_deletions(self) -> None:
        """A second look at deleted documents, when no attempt that knew them can still be writing."""
        services = self._services
        async with services.database.transaction() as transaction:
            due = await sweeps.due_deletions(transaction.driver, older=2 * self._lease)
        for row in due:
            try:
                await self._finish_deletion(row["tenant_id"], row["document_id"])
            except (DependencyUnavailable, asyncpg.LockNotAvailableError) as error:
                log.warning("deletion not finished yet", document=str(row["document_id"]), error=str(error))

    async def _finish_deletion(self, tenant_id: UUID, document_id: UUID) -> None:
        services = self._services
        async with services.database.transaction(tenant_id) as transaction:
            prefix = await documents.purge(transaction, document_id)
        if prefix:
            for place in everywhere(prefix):
                await services.storage.delete_prefix(place)
        async with services.database.transaction(tenant_id) as transaction:
            await sweeps.forget_deletion(transaction.driver, document_id)
