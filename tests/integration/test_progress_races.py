"""Two who write the same jobs at the same moment, in opposite order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from arqueduct.database import Database
from arqueduct.events import JobMessage
from arqueduct.repositories import jobs, parents
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


async def both_wait(crowd: Crowd) -> bool:
    return bool(
        await crowd.owner.fetchval(
            "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


async def test_nobody_waits_for_a_row_of_one_who_waits_for_his(crowd: Crowd) -> None:
    """A third holds the row in the middle until both wait: each has begun, and would have the other's last row."""
    ids = sorted(await crowd.queue(await crowd.tenant(), 9))
    async with crowd.database.transaction() as transaction:
        assert len(await jobs.claim(transaction.driver, [(job_id, 0) for job_id in ids], "worker-1", ALIVE)) == 9

    async def advance(order: Sequence[UUID], message: str) -> list[JobMessage | None]:
        async with crowd.database.transaction() as transaction:
            return await jobs.advance(transaction.driver, [step(job_id, message) for job_id in order])

    async with crowd.database.transaction() as third:
        await third.driver.execute("SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE", ids[4])
        writing = [
            asyncio.create_task(advance(ids, "forwards")),
            asyncio.create_task(advance(ids[::-1], "backwards")),
        ]
        await until(lambda: both_wait(crowd))
    told = await asyncio.gather(*writing)
    assert all(message is not None for messages in told for message in messages)
    assert await crowd.owner.fetchval("SELECT count(DISTINCT message) FROM jobs") == 1  # the later one's, everywhere


async def test_a_pause_is_called_off_while_the_children_tell_their_progress(crowd: Crowd) -> None:
    """The children lie in the table in the opposite order of their ids."""
    parent, *ids = sorted(await crowd.queue(await crowd.tenant(), 10))
    async with crowd.database.transaction() as transaction:
        await jobs.claim(transaction.driver, [(job_id, 0) for job_id in ids], "worker-1", ALIVE)
    linked = "UPDATE jobs SET parent_id = $2, pause_requested = true WHERE id = $1"
    for job_id in ids[::-1]:
        await crowd.owner.execute(linked, job_id, parent)
    await crowd.owner.execute("ANALYZE jobs")

    async def advance() -> list[JobMessage | None]:
        async with crowd.database.transaction() as transaction:
            return await jobs.advance(transaction.driver, [step(job_id, "on its way") for job_id in ids])

    async def call_off() -> None:
        async with crowd.database.transaction() as transaction:
            await parents.call_off_pause(transaction.driver, parent)

    async with crowd.database.transaction() as third:
        await third.driver.execute("SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE", ids[4])
        writing = asyncio.create_task(advance()), asyncio.create_task(call_off())
        await until(lambda: both_wait(crowd))
    told, _ = await asyncio.gather(*writing)
    assert all(told)
    assert not await crowd.owner.fetchval("SELECT count(*) FROM jobs WHERE pause_requested")
