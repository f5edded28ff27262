"""Vectors on their way into the index. Those not there yet are the head, which a search compares one by one."""

from datetime import timedelta

from arqueduct.database import Driver

__all__ = ["LOCK", "count_head", "merge"]

LOCK = 0x61727178
"""Advisory lock of the one worker that merges at a moment ("arqx")."""

_MERGE = """
    SELECT CASE WHEN NOT EXISTS (SELECT FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL)
        AND pg_try_advisory_xact_lock($1) THEN merge_vectors($2) ELSE 0 END
"""


async def count_head(driver: Driver, *, most: int, every: timedelta) -> int:
    """How many vectors the head has, of all tenants; no older than `every`.

    Once there are `most`, new ones go into the index at once until a count finds less.
    """
    counted: int = await driver.fetchval("SELECT count_vector_head($1, $2)", most, every)
    return counted


async def merge(driver: Driver, *, most: int) -> int:
    """Moves so many vectors from the head into the index, of any tenants; returns how many it moved.

    None while jobs wait for a worker, or another worker is at it.
    """
    merged: int = await driver.fetchval(_MERGE, LOCK, most)
    return merged
