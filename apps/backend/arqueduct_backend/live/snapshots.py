"""All that a user has under way, read once for everyone who waits for it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from arqueduct.database import Database
from arqueduct.lifecycle import UNFINISHED
from arqueduct.repositories import jobs, live
from arqueduct_backend.live.updates import Notice, notice

__all__ = ["Snapshot", "Snapshots"]

AT_A_TIME = 3
"""When every client comes back at once after a restart, requests still find free connections in the pool."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The message, and the `seq` that it tells of each job."""

    notice: Notice
    seqs: Mapping[str, int]


class Snapshots:
    """Reads of the same user that have not begun yet become one; one that has begun may be too old to share."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._waiting: dict[tuple[UUID, UUID], asyncio.Task[Snapshot]] = {}
        self._reading: set[asyncio.Task[Snapshot]] = set()

    async def read(self, tenant_id: UUID, user_id: UUID) -> Snapshot:
        """What is committed at some moment after this call. Raises `DependencyUnavailable`."""
        key = (tenant_id, user_id)
        reading = self._waiting.get(key)
        if reading is None:
            reading = self._waiting[key] = asyncio.create_task(self._read(key))
            self._reading.add(reading)
            reading.add_done_callback(self._forget)
        return await asyncio.shield(reading)  # one client that leaves takes nothing from the others

    def _forget(self, reading: asyncio.Task[Snapshot]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled():
            reading.exception()  # marks it as seen, should everyone who waited have left

    async def _read(self, key: tuple[UUID, UUID]) -> Snapshot:
        tenant_id, user_id = key
        try:
            await self._turns.acquire()
        finally:
            del self._waiting[key]
        try:
            async with self._database.transaction(tenant_id) as transaction:
                rows = await live.of_user(transaction.driver, user_id)
        finally:
            self._turns.release()
        unfinished = sum(row["state"] in UNFINISHED for row in rows)
        message = notice(
            "snapshot",
            jobs=[jobs.message_of(row) for row in rows],
            truncated=unfinished >= live.MOST_UNFINISHED,
            timestamp=datetime.now(UTC),
        )
        return Snapshot(notice=message, seqs={str(row["id"]): row["seq"] for row in rows})
