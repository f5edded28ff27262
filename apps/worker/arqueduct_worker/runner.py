"""One attempt at a job: claim, stages, end. Every write names the attempt's fence, so a losing one changes nothing.

The steps are those of docs/job-lifecycle.md; no stage contains a line of this.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog
from structlog.contextvars import bound_contextvars

from arqueduct import metrics, retry
from arqueduct.database import Transaction
from arqueduct.errors import ArqueductError, DependencyUnavailable, DocumentDeleted, LeaseLost, PermanentError
from arqueduct.formats import Format
from arqueduct.lifecycle import JobState
from arqueduct.pipeline import Stage, StageContext, Subject
from arqueduct.repositories import documents, jobs
from arqueduct.repositories.jobs import Claimed
from arqueduct_worker.leases import Lease, Stop
from arqueduct_worker.services import Services
from arqueduct_worker.tracker import Tracker

__all__ = ["Runner"]

log = structlog.get_logger()

RECORD_SECONDS = 1.0
"""Pause between two tries to record an end while Postgres is away."""


class Runner:
    """Runs attempts."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, job_id: UUID, dispatch: int) -> None:
        """Follows one wake-up. Raises `DependencyUnavailable` if the job could not even be claimed."""
        services = self._services
        async with services.database.transaction() as transaction:
            claimed = await jobs.claim(
                transaction.driver, job_id, dispatch, services.name, services.settings.lease_time
            )
        if claimed is None:
            log.debug("stale wake-up", job=str(job_id), dispatch=dispatch)
            return
        ids = {"job": str(claimed.id), "document": str(claimed.document_id), "attempt": claimed.fence}
        services.reporter.open((claimed.id, claimed.fence), claimed.user_id)
        try:
            with bound_contextvars(**ids), services.leases.hold(claimed.id, claimed.fence) as lease:
                log.info("job claimed", kind=claimed.kind, waited=round(claimed.waited, 3))
                metrics.job_wait_seconds.labels(claimed.kind).observe(claimed.waited)
                await Attempt(services, claimed, lease).run()
        finally:
            services.reporter.close((claimed.id, claimed.fence))


class Attempt:
    """The life of one claimed job in this process."""

    def __init__(self, services: Services, claimed: Claimed, lease: Lease) -> None:
        self._services = services
        self._job = claimed
        self._lease = lease
        self._tracker: Tracker | None = None
        self._started = time.monotonic()
        self._ended: asyncpg.Record | None = None
        self._folder = services.folder / f"job-{claimed.id}-{claimed.fence}"

    async def run(self) -> None:
        """Runs the stages and records how it ended; a stop from outside ends the stages at once."""
        work = self._lease.task = asyncio.create_task(self._work())
        if self._lease.stop:  # asked between the claim and here
            work.cancel()
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            self._lease.end(Stop.SHUTDOWN)
            await asyncio.wait({work})
        # Not inside the task: a cancel would take a call that waits for a thread with it, and the folder would stay.
        await asyncio.to_thread(shutil.rmtree, self._folder, True)
        await self._settle(work)

    async def _work(self) -> None:
        job, services = self._job, self._services
        stages = services.registry.stages(job.kind, without=services.settings.disabled_stages)
        os.makedirs(self._folder)  # noqa: PTH103  # one call; in a thread it could outlive a cancel
        self._tracker = Tracker(job, stages, services.reporter)
        context = await self._context(self._tracker)
        for stage in stages:
            self._tracker.begin(stage)
            await self._run_stage(stage, context)
        if self._ended is None:
            async with context.completion():
                pass

    async def _run_stage(self, stage: Stage, context: StageContext) -> None:
        began = time.monotonic()
        try:
            await stage.run(context)
        except Exception as error:
            metrics.stage_errors.labels(stage.name, getattr(error, "code", "internal_error")).inc()
            raise
        took = time.monotonic() - began
        metrics.stage_seconds.labels(stage.name).observe(took)
        log.info("stage finished", stage=stage.name, took=round(took, 3))

    async def _context(self, tracker: Tracker) -> StageContext:
        services = self._services
        return StageContext(
            subject=await self._subject(),
            settings=services.settings,
            folder=self._folder,
            database=services.database,
            storage=services.storage,
            embedder=services.embedder,
            model_id=services.model_id,
            parsers=services.parsers,
            report=tracker.report,
            complete=self._completion,
        )

    async def _subject(self) -> Subject:
        job = self._job
        async with self._services.database.transaction(job.tenant_id) as transaction:
            found = await documents.find(transaction, job.document_id) if job.document_id else None
        if found is None:
            raise DocumentDeleted
        document = found.document
        return Subject(
            job_id=job.id,
            attempt=job.fence,
            tenant_id=job.tenant_id,
            user_id=job.user_id,
            document_id=document.id,
            name=document.name,
            format=Format(document.content_type),
            blob_id=document.blob_id,
            size=document.size,
            sha256=document.sha256,
            language=document.language,
            payload=job.payload,
        )

    @asynccontextmanager
    async def _completion(self) -> AsyncIterator[Transaction]:
        """The fenced end is the last statement, so that progress and heartbeats can write the row until then."""
        job, services = self._job, self._services
        async with services.database.transaction(job.tenant_id) as transaction:
            yield transaction
            await services.reporter.flush((job.id, job.fence))
            ended = await jobs.complete(transaction.driver, job.id, job.fence)
            if ended is None:
                raise LeaseLost
        self._ended = ended

    async def _settle(self, work: "asyncio.Task[None]") -> None:
        """Records and tells the end of the attempt, whichever it was."""
        error = None if work.cancelled() else work.exception()
        if self._ended is not None:  # whatever came after the commit
            end = "completed"
        elif self._lease.stop is Stop.LOST:
            end = "lost"
        else:
            end = await self._record(error)
        if end == "lost":
            metrics.lease_losses.inc()
        elif end == "retried":
            metrics.job_retries.inc()
        metrics.job_ends.labels(self._job.kind, end).inc()
        log.info("attempt ended", end=end, took=round(time.monotonic() - self._started, 3))
        if self._ended is not None:
            await self._services.dispatcher.dispatch([self._ended])

    async def _record(self, error: BaseException | None) -> str:
        """Writes an end that is not a completion; tries until the lease must be over."""
        deadline = time.monotonic() + self._services.settings.lease
        while time.monotonic() < deadline:
            try:
                await self._services.reporter.flush((self._job.id, self._job.fence))
                async with self._services.database.transaction() as transaction:
                    self._ended = await self._write_end(transaction, error)
                return _name_of_end(self._ended, error)
            except DependencyUnavailable as away:
                log.warning("end not recorded yet", error=str(away))
            except Exception:  # what the error says cannot be written down: the job must end all the same
                log.exception("end not recordable")
                error = ArqueductError()
            await asyncio.sleep(RECORD_SECONDS)
        return "unrecorded"

    async def _write_end(self, transaction: Transaction, error: BaseException | None) -> asyncpg.Record | None:
        job, driver = self._job, transaction.driver
        if self._lease.stop is Stop.CANCEL or isinstance(error, LeaseLost):
            # A completion is refused also when a cancel came just before it.
            return await jobs.cancel_running(driver, job.id, job.fence)
        if error is None:
            row = await jobs.release(driver, job.id, job.fence, message="handed back by a stopping worker")
            return row or await jobs.cancel_running(driver, job.id, job.fence)
        problem = retry.problem_of(error, self._tracker.stage if self._tracker else "queued")
        if retry.is_retryable(error) and job.failures + 1 < job.max_failures:
            delay = retry.backoff(job.failures + 1, retry_after=getattr(error, "retry_after", None))
            log.warning("attempt failed, will retry", **_brief(error), delay=round(delay.total_seconds(), 1))
            row = await jobs.release(driver, job.id, job.fence, delay=delay, error=problem, message=_waiting(delay))
            return row or await jobs.cancel_running(driver, job.id, job.fence)
        log.warning("job failed", **_brief(error), exc_info=None if isinstance(error, PermanentError) else error)
        return await jobs.fail(driver, job.id, job.fence, problem)


def _name_of_end(row: asyncpg.Record | None, error: BaseException | None) -> str:
    """What became of an attempt, by the row that its end left."""
    if row is None:
        return "lost"
    if row["state"] == JobState.QUEUED:
        return "retried" if error else "handed back"
    return str(row["state"])


def _brief(error: BaseException) -> dict[str, str]:
    return {"code": getattr(error, "code", "internal_error"), "error": f"{type(error).__name__}: {error}"[:500]}


def _waiting(delay: timedelta) -> str:
    return f"will be tried again in {max(1, round(delay.total_seconds()))} s"
