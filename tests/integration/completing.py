"""The end of one job, as its attempt writes it."""

from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import End

__all__ = ["complete"]


async def complete(driver: Driver, job_id: UUID, fence: int) -> asyncpg.Record | None:
    """None: the attempt does not own the job."""
    rows = await jobs.complete_all(driver, [End(job_id=job_id, fence=fence)])
    return rows[0] if rows else None
