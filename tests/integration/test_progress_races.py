"""Two who write the progress of the same jobs at the same moment, in opposite order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from arqueduct.database import Database
from arqueduct.events import JobMessage
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import Step
from arqueduct.settings import Settings
from tests.integration.crowd import ALIVE, Crowd, crowding
from tests.integration.worker import until


@pytest.fixture
async def crowd(settings: Settings, worker_database: Database) -> AsyncIterator[Crowd]:
    assert settings.database_url is not None
    async with crowding(settings.database_url.get_secret_value(), worker_database) as opened:
        yield opened


def step(job_id: UUID, message: str) -> Step:
    return Step(
        job_id=job_id,
        fence=1,
        stage="embedding",
        progress=0.5,
        message=message,
        details={},
        eta_seconds=None,
        is_new_stage=False,
    )


async def test_nobody_waits_for_a_row_of_one_who_waits_for_his(crowd: Crowd) -> None:
    """A third holds the row in the middle until both wait: each has begun, and would have the other's last row."""
    ids = sorted(await crowd.queue(await crowd.tenant(), 9))
    async with crowd.database.transaction() as transaction:
        assert len(await jobs.claim(transaction.driver, [(job_id, 0) for job_id in ids], "worker-1", ALIVE)) == 9

    async def advance(order: Sequence[UUID], message: str) -> list[JobMessage | None]:
        async with crowd.database.transaction() as transaction:
            return await jobs.advance(transaction.driver, [step(job_id, message) for job_id in order])

    async def both_wait() -> bool:
        return bool(
            await crowd.owner.fetchval(
                "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
        )

    async with crowd.database.transaction() as third:
        await third.driver.execute("SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE", ids[4])
        writing = [
            asyncio.create_task(advance(ids, "forwards")),
            asyncio.create_task(advance(ids[::-1], "backwards")),
        ]
        await until(both_wait)
    told = await asyncio.gather(*writing)
    assert all(message is not None for messages in told for message in messages)
    assert await crowd.owner.fetchval("SELECT count(DISTINCT message) FROM jobs") == 1  # the later one's, everywhere
