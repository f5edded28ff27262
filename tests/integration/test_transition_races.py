"""Two who want the same rows at the same moment."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from arqueduct.database import Database
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Blob
from arqueduct.queue import WakeUp
from arqueduct.repositories import admission, jobs, steering
from arqueduct.settings import Settings
from tests.integration.crowd import ALIVE, Crowd, crowding
from tests.integration.worker import insert, until


@pytest.fixture
async def crowd(settings: Settings, worker_database: Database) -> AsyncIterator[Crowd]:
    assert settings.database_url is not None
    async with crowding(settings.database_url.get_secret_value(), worker_database) as opened:
        yield opened


async def test_a_deletion_that_waits_for_a_claim_ends_its_attempt(
    settings: Settings, crowd: Crowd, app_database: Database, me: NewIdentity
) -> None:
    blob = Blob(id=new_id(), tenant_id=me.tenant_id, sha256="00", size=1)
    job = await insert(settings, me, blob, format=Format.TEXT, name="a file")
    document_id = job.document_id
    assert document_id is not None

    async def delete() -> int:
        async with app_database.transaction(me.tenant_id) as transaction:
            return len(await steering.cancel_of_document(transaction.driver, document_id))

    async def is_waiting() -> bool:
        return bool(await crowd.owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with crowd.database.transaction() as claiming:
        assert await jobs.claim(claiming.driver, [(job.id, 0)], "worker-1", ALIVE)
        deleting = asyncio.create_task(delete())
        await until(is_waiting)
    assert await deleting == 1
    assert await crowd.owner.fetchval("SELECT state FROM jobs") == "cancelled"
    assert await crowd.owner.fetchval("SELECT outcome FROM job_attempts") == "cancelled"


async def test_claims_and_hand_backs_of_many_never_block_each_other_for_good(crowd: Crowd) -> None:
    """Everybody locks in the order of ids: no deadlock, and each job is claimed at most once a dispatch."""
    ids = await crowd.queue(await crowd.tenant(), 40)
    claimed: list[tuple[object, int]] = []

    async def act(chance: random.Random) -> None:
        for dispatch in range(8):
            some = chance.sample(ids, 30)
            async with crowd.database.transaction() as transaction:
                if chance.random() < 0.5:
                    late = [WakeUp(job_id, dispatch, datetime.now(UTC)) for job_id in some]
                    await admission.unadmit(transaction.driver, late)
                else:
                    wake_ups = [(job_id, dispatch) for job_id in some[:5]]
                    found = await jobs.claim(transaction.driver, wake_ups, "worker-1", ALIVE)
                    claimed.extend((one.id, one.dispatch) for one in found)

    await asyncio.gather(*(act(random.Random(seed)) for seed in range(5)))
    assert claimed
    assert len(claimed) == len(set(claimed))
