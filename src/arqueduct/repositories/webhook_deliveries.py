"""Deliveries: what is told to an endpoint, each attempt at it, and trying once more.

The triggers of sql/versions/0005 write them, in the transaction of what happened; a ping is written here. Whoever
needs the rows of an endpoint and of its deliveries locks the endpoint first.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.errors import NotFound, WebhookDisabled
from arqueduct.ids import new_id
from arqueduct.webhooks.messages import EventType
from arqueduct.webhooks.sender import Reply

__all__ = ["RESTS_FROM", "add_ping", "attempts", "find", "hasten", "may_try", "page", "record", "redeliver", "take"]

RESTS_FROM = 3
"""Failures in a row after which a receiver is left alone for a while: a message that it cannot take is none yet."""
FIRST_REST, LONGEST_REST = timedelta(seconds=30), timedelta(minutes=10)
"""The pause doubles with every further failure."""
TRIAL = timedelta(minutes=1)
"""For one delivery to find out whether the receiver is well again, before another may."""
SOON = timedelta(seconds=5)
MOST_HASTENED = 1000

_COLUMNS = """
    d.id, d.event_id, d.type, d.happened_at, d.state, d.attempts, d.last_status, d.last_error, d.ended_at, d.job_id,
    CASE WHEN d.state = 'pending' THEN (SELECT j.run_after FROM jobs j WHERE j.id = d.job_id AND j.state = 'queued') END
        AS next_attempt_at
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM webhook_deliveries d
    WHERE endpoint_id = $1 AND ($2::uuid IS NULL OR d.id < $2) AND ($3::text IS NULL OR d.state = $3)
    ORDER BY d.id DESC LIMIT $4
"""
_FIND = f"SELECT {_COLUMNS}, d.data FROM webhook_deliveries d WHERE endpoint_id = $1 AND d.id = $2"
_ATTEMPTS = """
    SELECT number, started_at, took_ms, status, error, answer FROM webhook_attempts WHERE delivery_id = $1
    ORDER BY number
"""
_PING = f"""
    INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event_id, type, data, job_id)
    VALUES ($1, $2, $3, $4, '{EventType.PING}', $5, queue_webhook($2, $6, $1))
"""
_AGAIN = """
    UPDATE webhook_deliveries SET state = 'pending', ended_at = NULL, job_id = queue_webhook(tenant_id, $3, id)
    WHERE endpoint_id = $1 AND id = $2 AND state <> 'pending' RETURNING id
"""
# Jobs that wait for their next attempt come due now. One that somebody holds just now is being run, or cancelled.
_HASTEN = """
    UPDATE jobs SET run_after = now() WHERE id IN (
        SELECT j.id FROM jobs j JOIN webhook_deliveries d ON d.job_id = j.id
        WHERE d.endpoint_id = $1 AND d.state = 'pending' AND ($2::uuid IS NULL OR d.id = $2)
            AND j.state = 'queued' AND j.turn IS NULL AND j.run_after > now() + $3::interval
        ORDER BY j.id LIMIT $4 FOR NO KEY UPDATE OF j SKIP LOCKED
    )
"""
_AWAKE = "UPDATE webhook_endpoints SET resting_until = NULL WHERE id = $1"

_TAKE = """
    SELECT d.id, d.endpoint_id, d.event_id, d.type, d.happened_at, d.data, e.url, e.is_enabled, e.disabled_why,
        e.failures, e.secret, CASE WHEN e.previous_until > now() THEN e.previous_secret END AS previous_secret,
        EXISTS (
            SELECT FROM webhook_attempts a WHERE a.delivery_id = d.id AND a.job_id = $2 AND a.status BETWEEN 200 AND 299
        ) AS is_done
    FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id WHERE d.id = $1
"""
_TRY = """
    UPDATE webhook_endpoints SET resting_until = now() + $2::interval
    WHERE id = $1 AND (resting_until IS NULL OR resting_until <= now()) RETURNING id
"""
_WELL = """
    UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, resting_until = NULL WHERE id = $1 AND failures > 0
"""
_ILL = """
    UPDATE webhook_endpoints SET failures = failures + 1, failing_since = coalesce(failing_since, now()),
        resting_until = CASE WHEN failures + 1 >= $2 THEN
            now() + least($3::interval * power(2, least(failures + 1 - $2, 10)), $4::interval)
        END
    WHERE id = $1
"""
_GONE = """
    UPDATE webhook_endpoints SET is_enabled = false, disabled_why = $2, updated_at = now() WHERE id = $1 AND is_enabled
"""
_RECORD = """
    WITH noted AS (
        UPDATE webhook_deliveries SET attempts = attempts + 1, last_status = $4, last_error = $5 WHERE id = $1
        RETURNING id, tenant_id, attempts
    )
    INSERT INTO webhook_attempts (delivery_id, number, tenant_id, job_id, started_at, took_ms, status, error, answer)
    SELECT id, attempts, tenant_id, $2, $3, $6, $4, $5, $7 FROM noted
"""


async def page(
    driver: Driver, endpoint_id: UUID, *, limit: int, before: UUID | None = None, state: str | None = None
) -> Sequence[asyncpg.Record]:
    """The newest first, from the one older than `before`."""
    return await driver.fetch(_PAGE, endpoint_id, before, state, limit)


async def find(driver: Driver, endpoint_id: UUID, delivery_id: UUID) -> asyncpg.Record:
    """With `data`. Raises `NotFound`."""
    found = await driver.fetchrow(_FIND, endpoint_id, delivery_id)
    if found is None:
        raise NotFound
    return found


async def attempts(driver: Driver, delivery_id: UUID) -> Sequence[asyncpg.Record]:
    """The oldest first."""
    return await driver.fetch(_ATTEMPTS, delivery_id)


async def add_ping(driver: Driver, tenant_id: UUID, user_id: UUID, endpoint: asyncpg.Record) -> UUID:
    """A message that says nothing, sent even if the receiver is left alone just now. Raises `WebhookDisabled`."""
    _check_enabled(endpoint)
    delivery_id = new_id()
    data = storable.json({"webhook_id": str(endpoint["id"])})
    await driver.execute(_AWAKE, endpoint["id"])
    await driver.execute(_PING, delivery_id, tenant_id, endpoint["id"], new_id(), data, user_id)
    return delivery_id


async def redeliver(driver: Driver, user_id: UUID, endpoint: asyncpg.Record, delivery_id: UUID) -> None:
    """Sends it again, under the same id; one that is pending is sent now. The endpoint must be locked.

    Raises `NotFound` and `WebhookDisabled`.
    """
    await find(driver, endpoint["id"], delivery_id)
    _check_enabled(endpoint)
    await driver.execute(_AWAKE, endpoint["id"])
    if await driver.fetchval(_AGAIN, endpoint["id"], delivery_id, user_id) is None:
        await driver.execute(_HASTEN, endpoint["id"], delivery_id, timedelta(0), 1)


async def take(driver: Driver, delivery_id: UUID, job_id: UUID) -> asyncpg.Record | None:
    """What an attempt needs to know; None: it was deleted. `is_done`: an attempt of this job got through, but its
    worker died before it could say so."""
    return await driver.fetchrow(_TAKE, delivery_id, job_id)


async def may_try(driver: Driver, taken: asyncpg.Record) -> bool:
    """Whether something may be sent to the endpoint now. Where it has failed several times only one at a time may."""
    if taken["failures"] < RESTS_FROM:
        return True
    return await driver.fetchval(_TRY, taken["endpoint_id"], TRIAL) is not None


async def record(driver: Driver, taken: asyncpg.Record, job_id: UUID, reply: Reply) -> None:
    """Writes an attempt down, and how the endpoint is."""
    endpoint_id = taken["endpoint_id"]
    if reply.outcome == "delivered":
        await driver.execute(_WELL, endpoint_id)
    else:
        await driver.execute(_ILL, endpoint_id, RESTS_FROM, FIRST_REST, LONGEST_REST)
    if reply.outcome == "gone":
        await driver.execute(_GONE, endpoint_id, "The receiver answered 410: it is gone for good.")
    await driver.execute(
        _RECORD,
        taken["id"],
        job_id,
        reply.started_at,
        reply.status,
        reply.error,
        round(reply.took * 1000),
        reply.text,
    )


async def hasten(driver: Driver, endpoint_id: UUID) -> None:
    """The receiver is well again: what waits for it need not wait for hours."""
    await driver.execute(_HASTEN, endpoint_id, None, SOON, MOST_HASTENED)


def _check_enabled(endpoint: asyncpg.Record) -> None:
    if not endpoint["is_enabled"]:
        raise WebhookDisabled(endpoint["disabled_why"])
