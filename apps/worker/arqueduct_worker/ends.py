"""How an attempt that did not complete is written down, and what becomes of its job."""

import asyncio
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta

import asyncpg
import structlog

from arqueduct import retry, secrecy, storable
from arqueduct.database import Driver
from arqueduct.errors import (
    ArqueductError,
    DependencyUnavailable,
    JobTimeout,
    LeaseLost,
    PermanentError,
    TimeIsUp,
    TransientError,
)
from arqueduct.lifecycle import JobState, Outcome
from arqueduct.pipeline import Usage
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import Claimed
from arqueduct_worker.leases import Stop
from arqueduct_worker.services import Services

__all__ = ["Ending", "record"]

log = structlog.get_logger()

RECORD_SECONDS = 1.0
"""Pause between two tries to record an end while Postgres is away."""
LONGEST_TRACEBACK = 20_000
"""Characters; the last are kept, where the error is."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why the attempt ended."""

    job: Claimed
    stop: Stop | None
    """Told from outside."""
    error: BaseException | None
    stage: str
    has_advanced: bool
    """It got further than the attempts before it."""
    pauses: Sequence[float] = ()
    """Between attempts, as the pipeline has them."""
    usage: Usage = field(default_factory=Usage)
    """What it cost all the same."""


async def record(services: Services, ending: Ending) -> tuple[str, asyncpg.Record | None]:
    """Writes an end that is not a completion; tries until the lease must be over.

    Returns a word for it, and the row that it left: none if the attempt no longer owned the job.
    """
    job = ending.job
    deadline = time.monotonic() + services.settings.lease
    while time.monotonic() < deadline:
        try:
            await services.reporter.flush((job.id, job.fence))
            async with services.database.transaction() as transaction:
                if ending.usage:
                    await jobs.add_usage(transaction.driver, job.id, job.fence, **asdict(ending.usage))
                row = await _write(transaction.driver, ending)
            return _name_of(row, ending), row
        except DependencyUnavailable as away:
            log.warning("end not recorded yet", error=str(away))
        except (asyncpg.DataError, UnicodeError):
            log.exception("end not recordable in its own words")
            ending = replace(ending, error=_without_words(ending.error))
        except Exception:
            log.exception("end not recorded yet")
        await asyncio.sleep(RECORD_SECONDS)
    return "unrecorded", None


async def _write(driver: Driver, ending: Ending) -> asyncpg.Record | None:
    job, error = ending.job, ending.error
    if isinstance(error, LeaseLost):  # a completion is refused also when a cancel came just before it
        return await _as_asked(driver, job)
    if ending.stop in (Stop.CANCEL, Stop.PAUSE):
        return await _as_asked(driver, job) or await _hand_back(driver, job)  # told late, of what is no longer asked
    if ending.stop is Stop.TIMEOUT:
        return await _fail(driver, ending, JobTimeout())
    if isinstance(error, TimeIsUp):
        if not ending.has_advanced:
            return await _fail(driver, ending, JobTimeout("The job used its time and got no further than before."))
        row = await jobs.release(driver, job.id, job.fence, Outcome.SNOOZED, message="its time was up; it goes on soon")
        return row or await _as_asked(driver, job)
    if error is None:
        return await _hand_back(driver, job) or await _as_asked(driver, job)
    if retry.is_retryable(error) and job.failures + 1 < job.max_failures:
        return await _retry_later(driver, ending, error) or await _as_asked(driver, job)
    return await _fail(driver, ending, error)


async def _as_asked(driver: Driver, job: Claimed) -> asyncpg.Record | None:
    """A cancel counts more than a pause."""
    return await jobs.cancel_running(driver, job.id, job.fence) or await jobs.pause_running(driver, job.id, job.fence)


async def _hand_back(driver: Driver, job: Claimed) -> asyncpg.Record | None:
    return await jobs.release(driver, job.id, job.fence, Outcome.HANDED_BACK, message="handed back by its worker")


async def _retry_later(driver: Driver, ending: Ending, error: BaseException) -> asyncpg.Record | None:
    job = ending.job
    asked = getattr(error, "retry_after", None)
    if ending.pauses:
        delay = retry.scheduled(job.failures + 1, ending.pauses, retry_after=asked)
    else:
        delay = retry.backoff(job.failures + 1, retry_after=asked)
    log.warning("attempt failed, will retry", **_brief(error), delay=round(delay.total_seconds(), 1))
    return await jobs.retry_later(
        driver,
        job.id,
        job.fence,
        retry.problem_of(error, ending.stage),
        delay=delay,
        message=_waiting(delay),
        traceback=_traceback(error),
    )


async def _fail(driver: Driver, ending: Ending, error: BaseException) -> asyncpg.Record | None:
    job = ending.job
    log.warning("job failed", **_brief(error), exc_info=None if isinstance(error, PermanentError) else error)
    problem = retry.problem_of(error, ending.stage)
    return await jobs.fail(driver, job.id, job.fence, problem, traceback=_traceback(ending.error or error))


def _without_words(error: BaseException | None) -> BaseException | None:
    """The same kind of error, should it be its words that cannot be written down: the job must end all the same."""
    if error is None or isinstance(error, LeaseLost | TimeIsUp):
        return error
    return type(error)() if isinstance(error, ArqueductError) else TransientError("The error cannot be written down.")


def _name_of(row: asyncpg.Record | None, ending: Ending) -> str:
    """What became of an attempt, by the row that its end left."""
    if row is None:
        return "lost"
    if row["state"] != JobState.QUEUED:
        return str(row["state"])
    if isinstance(ending.error, TimeIsUp):
        return Outcome.SNOOZED
    return Outcome.RETRIED if ending.error else Outcome.HANDED_BACK


def _traceback(error: BaseException) -> str:
    """Owners of tenants read it, and libraries put into their messages what they were told."""
    return storable.text(secrecy.hidden("".join(traceback.format_exception(error)))[-LONGEST_TRACEBACK:])


def _brief(error: BaseException) -> dict[str, str]:
    return {"code": getattr(error, "code", "internal_error"), "error": f"{type(error).__name__}: {error}"[:500]}


def _waiting(delay: timedelta) -> str:
    return f"will be tried again in {max(1, round(delay.total_seconds()))} s"
