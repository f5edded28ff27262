"""What runs whole jobs, we or the rival, and the databases in which it does."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from arqueduct.embedded import EmbeddedPostgres

__all__ = ["AT_ONCE", "WARM_UPS", "Side", "empty_copy", "owning", "run_seconds"]

AT_ONCE = 500
"""Jobs in one transaction when they are created, of both."""

WARM_UPS = 500
"""Jobs that are run before, so that each worker has opened its connections."""


class Side(ABC):
    """Carries jobs that do nothing from their creation to an end that the database keeps."""

    @abstractmethod
    async def run(self, jobs: int, workers: int) -> list[float]:
        """Seconds from before the first creation to the end of each job, ascending.

        The worker processes are ready before, and have run `WARM_UPS` jobs.
        """


@asynccontextmanager
async def empty_copy(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """The name of a copy of the database, dropped afterwards: each measurement begins with empty tables."""
    name = f"run_{uuid4().hex}"
    async with owning(postgres) as owner:
        await owner.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield name
    finally:
        async with owning(postgres) as owner:
            await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def owning(
    postgres: EmbeddedPostgres, database: str = "postgres"
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that may do anything."""
    connection = await asyncpg.connect(postgres.url(database=database))
    try:
        yield connection
    finally:
        await connection.close()


def run_seconds(jobs: int) -> float:
    """The longest we wait: the slowest that was seen managed 100 a second."""
    return 60 + jobs / 10
