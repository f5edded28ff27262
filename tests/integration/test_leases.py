"""The heartbeat against a Postgres that accepts connections and then says nothing: worse than one that is gone."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from arqueduct.database import Database, Role
from arqueduct.ids import new_id
from arqueduct_worker.leases import Leases, Stop

LEASE = timedelta(seconds=3)


@pytest.fixture
async def silent_database() -> AsyncIterator[Database]:
    asked: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: asked.append(writer), "127.0.0.1", 0)
    database = Database(f"postgresql://me:word@127.0.0.1:{server.sockets[0].getsockname()[1]}/x", Role.WORKER)
    yield database
    await database.aclose()
    for writer in asked:
        writer.close()
    server.close()


async def test_attempts_stop_before_their_leases_can_lapse(silent_database: Database) -> None:
    leases = Leases(silent_database, lease=LEASE, interval=1.5)
    began = time.monotonic()
    with leases.hold(new_id(), 1, confirmed_at=began) as lease:
        lease.task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]  # what it returns is never asked
        beating = asyncio.create_task(leases.run())
        await asyncio.wait({lease.task}, timeout=10)
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    assert lease.stop is Stop.LOST
    assert time.monotonic() - began < LEASE.total_seconds()


async def test_a_claim_that_came_through_in_an_outage_is_kept_though_older_leases_are_given_up(
    silent_database: Database,
) -> None:
    leases = Leases(silent_database, lease=LEASE, interval=0.05)
    now = time.monotonic()
    old, new = new_id(), new_id()
    with (
        leases.hold(old, 1, confirmed_at=now - LEASE.total_seconds()) as given_up,
        leases.hold(new, 1, confirmed_at=now) as kept,
    ):
        await leases.beat()
    assert given_up.stop is Stop.LOST
    assert kept.stop is None
