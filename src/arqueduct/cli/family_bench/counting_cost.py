"""What the counting costs: the same transitions of jobs that have a parent and of jobs that have none, in pairs."""

import random
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from arqueduct.cli.family_bench.results import Ratio
from arqueduct.database import Driver
from arqueduct.ids import new_id
from arqueduct.repositories import jobs, rules
from arqueduct.repositories.jobs import End

__all__ = ["counting_cost"]

PAIRS = 40
AT_ONCE = 50
"""Jobs that are claimed and completed by one statement each, as a busy worker does."""
LEASE = timedelta(minutes=10)

_COPY = """
    INSERT INTO jobs (id, tenant_id, user_id, kind, parent_id, document_id, document_name, payload, weight, size)
    SELECT new.id, j.tenant_id, j.user_id, j.kind, $3, j.document_id, j.document_name, j.payload, j.weight, j.size
    FROM unnest($2::uuid[]) AS new(id), (SELECT * FROM jobs WHERE parent_id = $1 LIMIT 1) j
"""


async def counting_cost(database_url: str, parent_id: UUID) -> Ratio:
    """How many times as long the transitions of children take, in a transaction that is rolled back. Without its
    commit, whose wait for the disk both have: the ratio is rather too high."""
    async with rules.as_owner(database_url) as driver:
        undone = driver.transaction()
        await undone.start()
        try:
            found = [await _pair(driver, parent_id) for _ in range(PAIRS + 1)]
        finally:
            await undone.rollback()
    ratios = found[1:]  # the first one prepares the statements
    return Ratio(median=round(statistics.median(ratios), 3), least=round(min(ratios), 3), most=round(max(ratios), 3))


async def _pair(driver: Driver, parent_id: UUID) -> float:
    """Who begins is drawn by lot."""
    taken: dict[UUID | None, float] = {}
    for parent in random.sample([parent_id, None], 2):
        ids = [new_id() for _ in range(AT_ONCE)]
        await driver.execute(_COPY, parent_id, ids, parent)
        taken[parent] = await _carry(driver, ids)
    return taken[parent_id] / taken[None]


async def _carry(driver: Driver, ids: Sequence[UUID]) -> float:
    began = time.perf_counter()
    claimed = await jobs.claim(driver, [(job_id, 0) for job_id in ids], "bench", LEASE)
    await jobs.complete_all(driver, [End(job_id=job.id, fence=job.fence) for job in claimed])
    return time.perf_counter() - began
