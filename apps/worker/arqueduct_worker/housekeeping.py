"""Deletes finished jobs and history when they are old. Runs in every worker; an advisory lock lets one prune at a time.

Each batch is a transaction of its own, so nobody waits long for a lock, and a stop loses one batch.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from arqueduct import metrics
from arqueduct.database import Driver
from arqueduct.errors import DependencyUnavailable
from arqueduct.repositories import chores, retention, stage_runs
from arqueduct.repositories.chores import Chore
from arqueduct.repositories.kept_answers import KEEP
from arqueduct.repositories.retention import BEGINNING, Looked, Position
from arqueduct_worker.services import Services

__all__ = ["Housekeeping"]

log = structlog.get_logger()

JITTER = 0.2
"""Share by which the pause varies, so that workers do not all ask at once."""

JOBS, EVENTS, ROWS = 500, 1000, 500
"""Of one batch. A job takes some ten rows with it; each is some tens of milliseconds."""

PAUSE_SECONDS = 0.05
"""Between two batches: those who serve go first."""

ALL_EVERY = timedelta(days=1)
"""A job that stayed may go once its document is deleted. That is seen when all old jobs are looked at, once a day;
in between only those are that became old since the last time."""

RETENTION_EVERY = timedelta(days=1)

OVERLAP = timedelta(minutes=10)
"""Looked at twice: what took long to commit tells an end from before the last look."""


class Housekeeping:
    """Prunes, for all tenants."""

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._jobs = timedelta(days=settings.keep_jobs_days)
        self._events = timedelta(days=settings.keep_events_days)
        deliveries = timedelta(days=settings.keep_deliveries_days)
        runs, days = timedelta(days=settings.keep_stage_runs_days), timedelta(days=settings.keep_analytics_days)
        self._rows: dict[str, Callable[[Driver], Awaitable[int]]] = {
            "kept_answers": partial(retention.prune_answers, older=KEEP, most=ROWS),
            "webhook_deliveries": partial(retention.prune_deliveries, older=deliveries, most=ROWS),
            "sessions": partial(retention.prune_sessions, most=ROWS),
            "stage_runs": partial(stage_runs.prune_runs, older=runs, most=ROWS),
            "stage_run_hours": partial(stage_runs.prune_sums, spans=stage_runs.BY_HOUR, older=runs, most=ROWS),
            "stage_run_days": partial(stage_runs.prune_sums, spans=stage_runs.BY_DAY, older=days, most=ROWS),
        }

    async def run(self) -> None:
        """Prunes for as long as the process lives."""
        while True:
            try:
                await self.prune()
            except DependencyUnavailable as error:
                log.warning("not pruned", error=str(error))
            except Exception:
                log.exception("not pruned")
            await asyncio.sleep(self._services.settings.housekeeping * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # spreads load

    async def prune(self) -> None:
        """Deletes all that is old by now, unless another worker is at it."""
        jobs, attempts = await self._prune_jobs()
        events = await self._prune_events()
        others = {table: await self._prune_rows(table, some_of) for table, some_of in self._rows.items()}
        if jobs or attempts or events or any(others.values()):
            log.info("pruned", jobs=jobs, attempts=attempts, events=events, **others)
        await self.queue_retention()

    async def queue_retention(self) -> list[UUID]:
        """A run for each tenant that has a policy switched on and had none for a day; returns the jobs."""
        async with self._services.database.transaction() as transaction:
            if not await _is_alone(transaction.driver):
                return []
            made: list[UUID] = await transaction.driver.fetchval("SELECT queue_retention($1)", RETENTION_EVERY)
        if made:
            log.info("retention queued", jobs=[str(job) for job in made])
            self._services.admitter.nudge()
        return made

    async def _prune_jobs(self) -> tuple[int, int]:
        jobs = attempts = 0
        is_full, position = await self._where_to_begin()
        while looked := await self._some_jobs(position):
            jobs += looked.jobs
            attempts += looked.attempts
            if looked.looked < JOBS:
                await self._note_done(is_full)
                break
            position = looked.position
            await asyncio.sleep(PAUSE_SECONDS)
        return jobs, attempts

    async def _where_to_begin(self) -> tuple[bool, Position]:
        async with self._services.database.transaction() as transaction:
            driver = transaction.driver
            recent = await chores.last_done(driver, Chore.PRUNE_RECENT_JOBS)
            if recent is None or await chores.last_done(driver, Chore.PRUNE_ALL_JOBS, within=ALL_EVERY) is None:
                return True, Position()
        return False, Position(finished_at=recent - self._jobs - OVERLAP)

    async def _some_jobs(self, position: Position) -> Looked | None:
        """None: another worker prunes right now."""
        async with self._services.database.transaction() as transaction:
            driver = transaction.driver
            if not await _is_alone(driver):
                return None
            looked = await retention.prune_jobs(driver, older=self._jobs, most=JOBS, after=position)
        metrics.pruned_rows.labels("jobs").inc(looked.jobs)
        metrics.pruned_rows.labels("job_attempts").inc(looked.attempts)
        return looked

    async def _note_done(self, is_full: bool) -> None:
        async with self._services.database.transaction() as transaction:
            await chores.done(transaction.driver, Chore.PRUNE_RECENT_JOBS)
            if is_full:
                await chores.done(transaction.driver, Chore.PRUNE_ALL_JOBS)

    async def _prune_events(self) -> int:
        pruned, after = 0, BEGINNING
        while True:
            async with self._services.database.transaction() as transaction:
                driver = transaction.driver
                if not await _is_alone(driver):
                    return pruned
                some, after = await retention.prune_events(driver, older=self._events, most=EVENTS, after=after)
            metrics.pruned_rows.labels("job_events").inc(some)
            pruned += some
            if some < EVENTS:
                return pruned
            await asyncio.sleep(PAUSE_SECONDS)

    async def _prune_rows(self, table: str, some_of: Callable[[Driver], Awaitable[int]]) -> int:
        """Deletes by `some_of`, which takes `ROWS` at most, until it finds less."""
        pruned = 0
        while True:
            async with self._services.database.transaction() as transaction:
                if not await _is_alone(transaction.driver):
                    return pruned
                some = await some_of(transaction.driver)
            metrics.pruned_rows.labels(table).inc(some)
            pruned += some
            if some < ROWS:
                return pruned
            await asyncio.sleep(PAUSE_SECONDS)


async def _is_alone(driver: Driver) -> bool:
    return bool(await driver.fetchval("SELECT pg_try_advisory_xact_lock($1)", retention.LOCK))
