"""One attempt at a job: stages, end. Every write names the attempt's fence, so a losing one changes nothing.

The steps are those of docs/job-lifecycle.md; no stage contains a line of this.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from pydantic import BaseModel

from arqueduct import metrics, storable
from arqueduct.database import Transaction
from arqueduct.errors import DocumentDeleted, JobTimeout, LeaseLost, TimeIsUp
from arqueduct.eta import JOB
from arqueduct.formats import Format
from arqueduct.pipeline import Errand, Stage, StageContext, Subject, Usage, Writer
from arqueduct.repositories import documents, jobs
from arqueduct.repositories.jobs import Claimed, End
from arqueduct.retry import problem_of
from arqueduct.stage_options import llm_of, options_of
from arqueduct_worker.ends import Ending, record
from arqueduct_worker.leases import Lease, Stop
from arqueduct_worker.run_log import NO_RESULT, Result, about
from arqueduct_worker.services import Services
from arqueduct_worker.tracker import Tracker

__all__ = ["Attempt"]

log = structlog.get_logger()

CANCEL_AGAIN_SECONDS = 2.0

LOOK_SECONDS = 1.0
"""Of an attempt that lost its job: its slot is wanted, and Postgres may be what it lost."""

LEAST_ADVANCE = 1e-6
"""Of overall progress: Postgres keeps seven digits of it, so the same place may look like a better one."""


class Attempt:
    """The life of one claimed job in this process."""

    def __init__(self, services: Services, claimed: Claimed, lease: Lease) -> None:
        self._services = services
        self._job = claimed
        self._lease = lease
        self._tracker: Tracker | None = None
        self._context: StageContext | None = None
        self._is_time_up = False
        self._started = time.monotonic()
        self._ended: asyncpg.Record | None = None
        self._has_lent_slot = False
        self._pipeline = services.registry.pipeline(claimed.kind)
        self._folder = services.folder / f"job-{claimed.id}-{claimed.fence}"

    async def run(self) -> None:
        """Runs the stages and records how it ended; a stop from outside ends the stages at once."""
        work = self._lease.task = asyncio.create_task(self._work())
        if self._lease.stop:  # asked between the claim and here
            work.cancel()
        with self._limits():
            await self._outlast(work)
        # Not inside the task: a cancel would take a call that waits for a thread with it, and the folder would stay.
        if self._context is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, True)
        try:
            await self._settle(work)
        finally:
            if self._has_lent_slot:
                self._services.slots.end()

    def _lend_slot(self) -> None:
        self._has_lent_slot = self._has_lent_slot or self._services.slots.lend()

    async def _outlast(self, work: "asyncio.Task[None]") -> None:
        """Waits for the end of the work. Once it is told to stop, it is told until it hears: Python 3.11's `wait_for`,
        or a stage, can swallow a cancellation."""
        while not work.done():
            was_told = self._lease.stop is not None
            try:
                await asyncio.wait({work}, timeout=CANCEL_AGAIN_SECONDS)
            except asyncio.CancelledError:
                self._lease.end(Stop.SHUTDOWN)
            if was_told:
                work.cancel()

    @contextmanager
    def _limits(self) -> Iterator[None]:
        """Tells the attempt when its time is up, and ends it when it goes on all the same."""
        loop = asyncio.get_running_loop()
        own = self._pipeline.limits if self._pipeline else None
        soft, hard = self._services.settings.limits_of(self._job.kind, own)
        timers = [loop.call_later(soft, self._tell), loop.call_later(hard, self._lease.end, Stop.TIMEOUT)]
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _tell(self) -> None:
        log.warning("time is up", stage=self._tracker.stage if self._tracker else None)
        self._is_time_up = True
        if self._context is not None:
            self._context.is_time_up = True

    async def _work(self) -> None:
        job, services = self._job, self._services
        stages = services.registry.stages(
            job.kind, without=services.settings.disabled_stages, only=job.payload.get("stages")
        )
        options = options_of(stages, job.payload.get("options"))
        self._tracker = Tracker(job, stages, services.reporter, services.runs.rates)
        if stages:
            os.makedirs(self._folder)  # noqa: PTH103  # one call; in a thread it could outlive a cancel
            context = self._context = await self._open_context(self._tracker, options)
            self._tracker.about = about(context.job)
            for stage in stages:
                context.checkpoint()  # before the next begins: a stage that stopped early has not reached it
                self._tracker.begin(stage)
                await self._run_stage(stage, context)
        if self._ended is None:
            await services.reporter.flush((job.id, job.fence))
            self._ended = await services.completions.ask(self._end())
            if self._ended is None:
                raise LeaseLost

    async def _run_stage(self, stage: Stage, context: StageContext) -> None:
        began = time.monotonic()
        try:
            await stage.run(context)
        except TimeIsUp:  # stopped as it should
            raise
        except asyncio.CancelledError:
            if self._lease.stop is Stop.TIMEOUT:
                self._note(stage.name, time.monotonic() - began, code=JobTimeout.code)
            raise
        except Exception as error:
            metrics.stage_errors.labels(stage.name, getattr(error, "code", "internal_error")).inc()
            if not isinstance(error, LeaseLost | DocumentDeleted):  # nothing went wrong with the stage
                self._note(stage.name, time.monotonic() - began, code=str(problem_of(error, stage.label)["code"]))
            raise
        took = time.monotonic() - began
        metrics.stage_seconds.labels(stage.name).observe(took)
        self._note(stage.name, took)
        log.info("stage finished", stage=stage.name, took=round(took, 3))

    def _note(self, stage: str, seconds: float, *, code: str | None = None, result: Result = NO_RESULT) -> None:
        """For analytics and estimates; one that is told late or never harms nobody."""
        subject = self._context.job if self._context else None
        self._services.runs.note(self._job, stage, seconds, about=about(subject), code=code, result=result)

    async def _open_context(self, tracker: Tracker, options: Mapping[str, BaseModel]) -> StageContext:
        services = self._services
        return StageContext(
            job=await self._subject(self._job.document_id) if self._job.document_id else self._errand(),
            settings=services.settings,
            folder=self._folder,
            database=services.stage_database,
            storage=services.storage,
            embedder=services.embedder,
            texts=services.texts,
            model_id=services.model_id,
            parsers=services.parsers,
            sender=services.sender,
            shared=services.shared,
            report=tracker.report,
            complete=self._completion,
            complete_with_others=self._complete_with_others,
            lend=self._lend_slot,
            enter=tracker.relabel,
            options=options,
            llm=llm_of(self._job.payload.get("llm")),
            is_time_up=self._is_time_up,
        )

    def _errand(self) -> Errand:
        job = self._job
        return Errand(
            job_id=job.id, attempt=job.fence, tenant_id=job.tenant_id, user_id=job.user_id, payload=job.payload
        )

    async def _subject(self, document_id: UUID) -> Subject:
        job = self._job
        found = await self._services.shared.ask(_briefs, job.tenant_id, document_id)
        if found is None:
            raise DocumentDeleted
        return Subject(
            job_id=job.id,
            attempt=job.fence,
            tenant_id=job.tenant_id,
            user_id=job.user_id,
            payload=job.payload,
            **{**found, "format": Format(found["format"])},
        )

    @asynccontextmanager
    async def _completion(self) -> AsyncIterator[Transaction]:
        """The fenced end is the last statement, so that progress and heartbeats can write the row until then."""
        job, services = self._job, self._services
        async with services.stage_database.transaction(job.tenant_id) as transaction:
            yield transaction
            await services.reporter.flush((job.id, job.fence))
            rows = await jobs.complete_all(transaction.driver, [self._end()])
            if not rows:
                raise LeaseLost
        self._ended = rows[0]

    async def _complete_with_others(self, write: Writer[Any], result: Any) -> bool:
        job = self._job
        ending = asyncio.ensure_future(self._services.shared_ends.end(job.tenant_id, write, result, self._end()))
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():  # what others commit with theirs cannot be taken back
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as error:
                cancelled = error
        self._ended = ending.result()
        if cancelled:
            raise cancelled
        return self._ended is not None

    def _end(self) -> End:
        job, context = self._job, self._context
        if context is None or not (context.usage or context.facts):
            return End(job_id=job.id, fence=job.fence)
        remark = context.facts.get("remark")
        return End(
            job_id=job.id,
            fence=job.fence,
            message=None if remark is None else storable.text(str(remark)),
            pages=int(context.facts.get("pages", 0)),
            chunks=int(context.facts.get("chunks", 0)),
            **asdict(context.usage),
        )

    def _error_of(self, work: "asyncio.Task[None]") -> BaseException | None:
        if not work.cancelled():
            return work.exception()
        return None if self._lease.stop else RuntimeError("The stage cancelled itself.")

    def _has_advanced(self) -> bool:
        if self._context is not None and self._context.has_advanced:
            return True
        return self._tracker is not None and self._tracker.reached > self._job.progress + LEAST_ADVANCE

    async def _is_deleted(self) -> bool:
        """Whether somebody deleted the document, which ends its attempts; False if Postgres does not say so soon."""
        job = self._job
        if job.document_id is None:
            return False
        with suppress(Exception):  # it decides the word in log and metrics; the attempt has ended all the same
            async with asyncio.timeout(LOOK_SECONDS), self._services.database.transaction(job.tenant_id) as transaction:
                return await documents.find(transaction, job.document_id) is None
        return False

    async def _settle(self, work: "asyncio.Task[None]") -> None:
        """Records and tells the end of the attempt, whichever it was."""
        if self._ended is not None:  # whatever came after the commit
            end = "completed"
            facts = self._context.facts if self._context else {}
            self._note(JOB, time.monotonic() - self._started, result=Result.of(facts, self._job.document_id))
        elif self._lease.stop is Stop.LOST:
            end = "lost"
        else:
            error = self._error_of(work)
            stage = self._tracker.stage if self._tracker else "queued"
            ending = Ending(
                job=self._job,
                stop=self._lease.stop,
                error=error,
                stage=stage,
                has_advanced=self._has_advanced(),
                pauses=self._pipeline.pauses if self._pipeline else (),
                usage=self._context.usage if self._context else Usage(),
            )
            end, self._ended = await record(self._services, ending)
        if end == "lost" and await self._is_deleted():
            end = "deleted"
        if end == "lost":
            metrics.lease_losses.inc()
        elif end == "retried":
            metrics.job_retries.inc()
        metrics.job_ends.labels(self._job.kind, end).inc()
        log.info("attempt ended", end=end, took=round(time.monotonic() - self._started, 3))
        if self._ended is not None:
            await self._services.dispatcher.dispatch([self._ended])


async def _briefs(transaction: Transaction, document_ids: Sequence[UUID]) -> list[asyncpg.Record | None]:
    found = await documents.briefs(transaction.driver, document_ids)
    return [found.get(document_id) for document_id in document_ids]
