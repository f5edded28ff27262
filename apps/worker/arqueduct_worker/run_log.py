"""Runs of stages on their way into Postgres, and the rates that come back: what estimates stand on.

Nothing waits for it. What does not fit into its queue, or is refused, is dropped and counted: these are measurements.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from arqueduct import metrics, storable
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable, PipelineUnknown
from arqueduct.eta import JOB, Rates
from arqueduct.pipeline import Errand, Registry, Subject
from arqueduct.repositories import stage_runs
from arqueduct.repositories.jobs import Claimed
from arqueduct.repositories.stage_runs import Run
from arqueduct.webhooks.kinds import is_ours

__all__ = ["NOTHING_KNOWN", "NO_RESULT", "About", "Result", "RunLog", "about"]

log = structlog.get_logger()

MOST = 20_000
"""Runs that wait, about 10 MB: some seconds of the fastest jobs, minutes of documents."""
BATCH = 2_000
"""In one statement: some tens of milliseconds, in which other workers wait to add to the same sums."""
PAUSE_SECONDS = 1.0
"""Between two statements. The longer, the fewer rows are touched for the same runs."""
REFRESH_SECONDS = 5.0
"""Between two looks at the rates: some hundred rows."""
STOP_SECONDS = 2.0
"""For the last batch of a process that ends."""
LARGEST = 2**31 - 1
NONSENSE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)
"""What one run can do to a statement of many."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What of a job's document its duration depends on."""

    content_type: str | None = None
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a completed job made."""

    documents: int = 0
    pages: int = 0
    chunks: int = 0

    @classmethod
    def of(cls, facts: Mapping[str, Any], document_id: UUID | None) -> "Result":
        return cls(documents=int(document_id is not None), pages=_count(facts, "pages"), chunks=_count(facts, "chunks"))


NOTHING_KNOWN, NO_RESULT = About(), Result()


class RunLog:
    """Takes runs from the attempts of a process, at some microseconds each, and writes many in one statement."""

    def __init__(self, database: Database) -> None:
        self.rates = Rates()
        self._database = database
        self._waiting: deque[Run] = deque()
        self._most = BATCH
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._looked = float("-inf")

    def note(
        self,
        job: Claimed,
        stage: str,
        seconds: float,
        *,
        about: About = NOTHING_KNOWN,
        code: str | None = None,
        result: Result = NO_RESULT,
    ) -> None:
        """One run that ended just now. Deliveries of webhooks are no work of a user's, and left out."""
        if is_ours(job.kind):
            return
        self._take(
            Run(
                tenant_id=job.tenant_id,
                user_id=job.user_id,
                job_id=job.id,
                attempt=job.fence,
                kind=job.kind,
                stage=stage,
                content_type=about.content_type,
                size=about.size,
                seconds=max(seconds, 0.0),
                ended=time.monotonic(),
                code=None if code is None else storable.text(code),
                documents=result.documents,
                pages=result.pages,
                chunks=result.chunks,
            )
        )

    def died(self, registry: Registry, jobs: Sequence[asyncpg.Record], attempts: Sequence[asyncpg.Record]) -> None:
        """Attempts whose worker died, as errors of the stage they were in; the seconds are those of the attempt."""
        of = {(row["id"], row["fence"]): row for row in jobs}
        for attempt in attempts:
            job = of[attempt["job_id"], attempt["attempt"]]
            if not is_ours(job["kind"]):
                self._take(
                    Run(
                        tenant_id=job["tenant_id"],
                        user_id=job["user_id"],
                        job_id=job["id"],
                        attempt=job["fence"],
                        kind=job["kind"],
                        stage=_stage_of(registry, job["kind"], attempt["stage"]),
                        seconds=attempt["seconds"],
                        ended=time.monotonic(),
                        code="worker_died",
                    )
                )

    async def run(self) -> None:
        """Writes for as long as the process lives."""
        await self._refresh()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            await self.flush()
            if time.monotonic() - self._looked >= REFRESH_SECONDS:
                await self._refresh()
            await asyncio.sleep(PAUSE_SECONDS)

    async def stop(self) -> None:
        """Writes what is left, if that is done soon."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("runs not written", runs=len(self._waiting))

    async def flush(self) -> None:
        """Writes all that wait; they go on waiting where Postgres is away."""
        async with self._writing:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if not await self._write(batch):
                    return

    def _take(self, run: Run) -> None:
        if len(self._waiting) < MOST:
            self._waiting.append(run)
            self._wake.set()
        else:
            metrics.stage_runs_dropped.inc()

    async def _write(self, batch: Sequence[Run]) -> bool:
        try:
            async with self._database.autocommit() as driver:
                metrics.stage_runs.inc(await stage_runs.note(driver, batch, time.monotonic()))
            self._most = min(BATCH, 2 * self._most)
        except DependencyUnavailable as error:
            log.warning("runs not written yet", error=str(error), runs=len(batch))
            self._put_back(batch)
            return False
        except asyncio.CancelledError:
            self._put_back(batch)
            raise
        except NONSENSE as error:
            self._narrow_down(batch, error)
        except Exception:
            log.exception("runs refused", runs=len(batch))
            metrics.stage_runs_dropped.inc(len(batch))
        return True

    def _narrow_down(self, batch: Sequence[Run], error: Exception) -> None:
        """Drops a run that is refused alone, and has fewer written together until it is: nonsense in one must not
        silence all others."""
        if len(batch) > 1:
            self._most = len(batch) // 2
            self._put_back(batch)
        else:
            log.error("run refused", run=batch[0], error=str(error))
            metrics.stage_runs_dropped.inc()

    def _put_back(self, batch: Sequence[Run]) -> None:
        kept = batch[: max(MOST - len(self._waiting), 0)]
        self._waiting.extendleft(reversed(kept))
        metrics.stage_runs_dropped.inc(len(batch) - len(kept))
        self._wake.set()

    async def _refresh(self) -> None:
        try:
            async with self._database.autocommit() as driver:
                self.rates = await stage_runs.rates(driver)
            self._looked = time.monotonic()
        except DependencyUnavailable as error:
            log.warning("rates not read", error=str(error))
        except Exception:
            log.exception("rates not read")


def about(errand: Errand | None) -> About:
    """Of the document that a job is about, if it is about one."""
    if not isinstance(errand, Subject):
        return NOTHING_KNOWN
    return About(content_type=errand.format.value, size=errand.size)


def _stage_of(registry: Registry, kind: str, label: str | None) -> str:
    """The stage that clients see as `label`; where there is none such, the job as a whole."""
    try:
        return next((stage.name for stage in registry.stages(kind) if stage.label == label), JOB)
    except PipelineUnknown:
        return JOB


def _count(facts: Mapping[str, Any], name: str) -> int:
    found = facts.get(name)
    return min(max(found, 0), LARGEST) if isinstance(found, int) else 0
