"""When a job that waits will be done: its wait, and its own run."""

import math
from datetime import timedelta

from arqueduct.database import Transaction
from arqueduct.eta import JOB, NOTHING, Estimate, Guess, estimate, together, wait
from arqueduct.lifecycle import JobState
from arqueduct.models import Document, Job
from arqueduct.repositories import stage_runs
from arqueduct.repositories.lists import Workforce

__all__ = ["of_queued"]


async def of_queued(
    transaction: Transaction, alive: timedelta, job: Job, workforce: Workforce, position: int | None
) -> Estimate | None:
    """None: it does not wait for its turn alone, it has children, or nothing like it was ever measured.

    `alive`: as old as a worker's sign of life may be.
    """
    if job.state != JobState.QUEUED or job.children is not None or _is_held(job, workforce):
        return None
    rates = await stage_runs.rates_of_jobs(transaction.driver)
    document = await transaction.session.get(Document, job.document_id) if job.document_id else None
    about = (document.content_type, document.size) if document else (None, None)
    own = rates.guess(job.kind, JOB, *about)
    busy = await stage_runs.busy(transaction.driver, job.id, alive)
    slots = min(busy.slots, workforce.max_running or busy.slots)
    before = busy.ahead + (position or 0) + 1 - slots
    in_line = wait(before, slots, rates.usual_job())
    if own is None or in_line is None:
        return None
    return estimate(together([_pause(job, workforce), in_line, own]))


def _is_held(job: Job, workforce: Workforce) -> bool:
    """By a person, or because nobody is there: nobody knows for how long."""
    return not workforce.live_workers or workforce.is_paused or job.kind in workforce.paused_kinds


def _pause(job: Job, workforce: Workforce) -> Guess:
    """Until it is due."""
    left = (job.run_after - workforce.now).total_seconds() if job.run_after else 0.0
    return Guess(mean=math.log(left), variance=0.0) if left > 0 else NOTHING
