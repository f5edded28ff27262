"""Telling Postgres how to read, where its guess is known to be wrong."""

from arqueduct.database import Driver

__all__ = ["by_index"]


async def by_index(driver: Driver) -> None:
    """Until the transaction ends, rows are read one by one in the order of an index, and no further than asked for.

    Until autovacuum has seen ten thousand new children, Postgres takes them for a handful, and would fetch and sort
    all of them for a page.
    """
    await driver.execute("SELECT set_config('enable_bitmapscan', 'off', true)")
