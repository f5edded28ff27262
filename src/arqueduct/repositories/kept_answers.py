"""Answers to requests with an idempotency key, so that the same request sent again does nothing twice.

A row is claimed before the work begins. The transaction of the change marks it, and so finds out whether the claim
is still its own: of two processes that think so, one commits. Without `status` a claim is under way; `CARRIED_OUT`
means that the change is committed and its answer is not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.errors import AnswerNotKept, IdempotencyInFlight, IdempotencyKeyReused

__all__ = ["KEEP", "PATIENCE", "Claim", "KeptAnswer", "claim", "finish", "keep", "mark", "release"]

KEEP = timedelta(hours=24)
"""Long enough for a client that was away for a night."""
PATIENCE = timedelta(seconds=60)
"""A claim older than this was left by a process that died; the slowest request of ours takes seconds. One that lives
on all the same loses its claim, and its change with it."""
CARRIED_OUT = 0

_NEW = """
    INSERT INTO kept_answers (tenant_id, user_id, key, fingerprint) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING claim
"""
_FIND = """
    SELECT fingerprint, status, headers, body, claimed_at > clock_timestamp() - $4::interval AS is_fresh
    FROM kept_answers WHERE user_id = $1 AND key = $2 AND created_at > clock_timestamp() - $3::interval
"""
# Too old to count, or left behind; a claim that is taken over keeps the time of the first one.
_TAKE_OVER = """
    UPDATE kept_answers SET fingerprint = $3, claim = claim + 1, claimed_at = clock_timestamp(), status = NULL,
        headers = NULL, body = NULL,
        created_at = CASE WHEN created_at > clock_timestamp() - $4::interval THEN created_at ELSE clock_timestamp() END
    WHERE user_id = $1 AND key = $2 AND (created_at <= clock_timestamp() - $4::interval
        OR (status IS NULL AND fingerprint = $3 AND claimed_at <= clock_timestamp() - $5::interval))
    RETURNING claim
"""
_MARK = """
    UPDATE kept_answers SET status = $4 WHERE user_id = $1 AND key = $2 AND claim = $3
        AND coalesce(status, $4) = $4
"""
_KEEP = """
    UPDATE kept_answers SET status = $4, headers = $5, body = $6 WHERE user_id = $1 AND key = $2 AND claim = $3
"""
_RELEASE = "DELETE FROM kept_answers WHERE user_id = $1 AND key = $2 AND claim = $3 AND status IS NULL"
_GIVE_UP = "UPDATE kept_answers SET claimed_at = '-infinity' WHERE user_id = $1 AND key = $2 AND claim = $3"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to carry a request out. `number` grows whenever the claim is taken over."""

    tenant_id: UUID
    user_id: UUID
    key: str
    number: int


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def claim(
    driver: Driver, *, tenant_id: UUID, user_id: UUID, key: str, fingerprint: bytes
) -> Claim | KeptAnswer | None:
    """The claim, or the answer of the same request. None: the row went while we looked; ask again.

    Raises `IdempotencyKeyReused`, `IdempotencyInFlight`, `AnswerNotKept`.
    """
    number = await driver.fetchval(_NEW, tenant_id, user_id, key, fingerprint)
    if number is None:
        row = await driver.fetchrow(_FIND, user_id, key, KEEP, PATIENCE)
        if row is not None and (kept := _judged(row, fingerprint)):
            return kept
        number = await driver.fetchval(_TAKE_OVER, user_id, key, fingerprint, KEEP, PATIENCE)
    return None if number is None else Claim(tenant_id=tenant_id, user_id=user_id, key=key, number=number)


async def mark(driver: Driver, mine: Claim) -> None:
    """In the transaction of the change: from its commit on, this request is carried out.

    Raises `IdempotencyInFlight` if somebody took the claim over, so that the change is rolled back.
    """
    if await driver.execute(_MARK, *_of(mine), CARRIED_OUT) == "UPDATE 0":
        raise IdempotencyInFlight("This took so long that the same request, sent again, is carried out instead.")


async def keep(driver: Driver, mine: Claim, answer: KeptAnswer) -> None:
    """Does nothing if somebody took the claim over."""
    await driver.execute(_KEEP, *_of(mine), answer.status, storable.json(answer.headers), answer.body)


async def release(driver: Driver, mine: Claim) -> None:
    """Nothing was done: the same request may come again at once."""
    await driver.execute(_RELEASE, *_of(mine))


async def finish(driver: Driver, mine: Claim) -> None:
    """There will be no answer. If something was done, nobody waits for it any more; if not, the claim ends."""
    await release(driver, mine)
    await driver.execute(_GIVE_UP, *_of(mine))


def _judged(row: asyncpg.Record, fingerprint: bytes) -> KeptAnswer | None:
    """None: the claim may be taken over."""
    if row["fingerprint"] != fingerprint:
        raise IdempotencyKeyReused
    if row["body"] is not None:
        return KeptAnswer(status=row["status"], headers=row["headers"], body=row["body"])
    if row["is_fresh"]:
        raise IdempotencyInFlight(retry_after=timedelta(seconds=1))
    if row["status"] is not None:
        raise AnswerNotKept
    return None


def _of(mine: Claim) -> tuple[UUID, str, int]:
    return mine.user_id, mine.key, mine.number
