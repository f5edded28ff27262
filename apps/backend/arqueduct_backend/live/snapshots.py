"""All that a user has under way, read once for everyone who waits for it."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from arqueduct.database import Database
from arqueduct.errors import NotAuthenticated
from arqueduct.identity import Identity
from arqueduct.lifecycle import UNFINISHED, JobState
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
    valid: Collection[UUID]
    """Of the proofs of those who waited for it, the ones that were still worth something."""


@dataclass(kw_only=True)
class _Reading:
    """One that has not begun yet."""

    task: asyncio.Task[Snapshot]
    proofs: set[UUID | None] = field(default_factory=set)


class Snapshots:
    """Reads of the same user that have not begun yet become one; one that has begun may be too old to share."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._waiting: dict[tuple[UUID, UUID], _Reading] = {}
        self._reading: set[asyncio.Task[Snapshot]] = set()

    async def read(self, identity: Identity) -> Snapshot:
        """What is committed at some moment after this call.

        Raises `NotAuthenticated` if the proof is worth nothing at that moment, and `DependencyUnavailable`.
        """
        key = (identity.tenant_id, identity.user_id)
        reading = self._waiting.get(key)
        if reading is None:
            reading = self._waiting[key] = _Reading(task=asyncio.create_task(self._read(key)))
            self._reading.add(reading.task)
            reading.task.add_done_callback(self._forget)
        reading.proofs.add(identity.proof)
        found = await asyncio.shield(reading.task)  # one client that leaves takes nothing from the others
        if identity.proof not in found.valid:
            raise NotAuthenticated
        return found

    def _forget(self, reading: asyncio.Task[Snapshot]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled():
            reading.exception()  # marks it as seen, should everyone who waited have left

    async def _read(self, key: tuple[UUID, UUID]) -> Snapshot:
        tenant_id, user_id = key
        try:
            await self._turns.acquire()
        finally:
            proofs = self._waiting.pop(key).proofs
        try:
            async with self._database.transaction(tenant_id) as transaction:
                valid = await live.valid_proofs(transaction.driver, proofs)
                rows = await live.of_user(transaction.driver, user_id) if valid else []
        finally:
            self._turns.release()
        message = notice(
            "snapshot",
            jobs=[jobs.message_of(row) for row in rows],
            truncated=_is_cut(rows),
            timestamp=datetime.now(UTC),
        )
        return Snapshot(notice=message, seqs={str(row["id"]): row["seq"] for row in rows}, valid=valid)


def _is_cut(rows: Sequence[asyncpg.Record]) -> bool:
    """Whether there may be more than are shown."""
    counted = Counter((row["parent_id"] is not None, JobState(row["state"]) in UNFINISHED) for row in rows)
    children = (counted[True, True], counted[True, False])
    return counted[False, True] >= live.MOST_UNFINISHED or max(children) >= live.MOST_CHILDREN
