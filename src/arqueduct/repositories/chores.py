"""Chores: what workers do now and then, one of them at a time, wherever the last one was done.

The rows are made by the revision that brings the chore.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from arqueduct.database import Driver

__all__ = ["Chore", "begin", "done", "last_done", "still_at_it"]


class Chore(StrEnum):
    """The names of all chores."""

    PRUNE_RECENT_JOBS = "prune recent jobs"
    PRUNE_ALL_JOBS = "prune all jobs"
    CLEAN_STORAGE = "clean storage"


async def begin(driver: Driver, chore: Chore, *, every: timedelta, silence: timedelta) -> datetime | None:
    """Takes the chore on and returns the time. None: it is not due, or somebody is at it.

    Who is at it says so with `still_at_it`; after `silence` another one begins anew.
    """
    begun: datetime | None = await driver.fetchval(
        "UPDATE chores SET begun_at = now() WHERE name = $1 AND (done_at IS NULL OR done_at <= now() - $2::interval) "
        "AND (begun_at IS NULL OR begun_at < now() - $3::interval) RETURNING begun_at",
        chore,
        every,
        silence,
    )
    return begun


async def still_at_it(driver: Driver, chore: Chore) -> None:
    await driver.execute("UPDATE chores SET begun_at = now() WHERE name = $1", chore)


async def done(driver: Driver, chore: Chore) -> None:
    await driver.execute("UPDATE chores SET begun_at = NULL, done_at = now() WHERE name = $1", chore)


async def last_done(driver: Driver, chore: Chore, *, within: timedelta | None = None) -> datetime | None:
    """When it was done. None: never, or longer ago than `within`."""
    moment: datetime | None = await driver.fetchval(
        "SELECT done_at FROM chores WHERE name = $1 AND ($2::interval IS NULL OR done_at > now() - $2::interval)",
        chore,
        within,
    )
    return moment
