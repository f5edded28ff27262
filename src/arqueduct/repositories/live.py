"""What live clients are shown, read in the transaction of their tenant: row-level security holds here as anywhere."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from arqueduct.database import Driver
from arqueduct.repositories.plans import by_index
from arqueduct.repositories.statements import COLUMNS
from arqueduct.webhooks.kinds import NOT_OURS

__all__ = ["JUST_FINISHED", "MOST_CHILDREN", "MOST_FINISHED", "MOST_UNFINISHED", "newer", "of_user", "valid_proofs"]

MOST_UNFINISHED = 1000
MOST_FINISHED = 200
"""Of each the newest: more fits on no screen, and lists are for the rest."""

JUST_FINISHED = timedelta(minutes=10)
"""An end is shown again this long to who connects or was cut off; longer than any commit takes."""

MOST_CHILDREN = 200
"""Of those that run, and of those that just finished: the rest of a project is told by its own job."""

_SHOWN = f"""
    (SELECT id FROM jobs WHERE user_id = u.id AND state IN ('queued', 'running', 'paused') AND parent_id IS NULL
        AND {NOT_OURS} ORDER BY id DESC LIMIT {MOST_UNFINISHED})
    UNION
    (SELECT id FROM jobs WHERE user_id = u.id AND state = 'running' AND parent_id IS NOT NULL
        ORDER BY id DESC LIMIT {MOST_CHILDREN})
    UNION
    (SELECT id FROM jobs WHERE user_id = u.id AND finished_at > now() - $2::interval AND parent_id IS NULL
        AND {NOT_OURS} ORDER BY finished_at DESC LIMIT {MOST_FINISHED})
    UNION
    (SELECT id FROM jobs WHERE user_id = u.id AND finished_at > now() - $2::interval AND parent_id IS NOT NULL
        ORDER BY finished_at DESC LIMIT {MOST_CHILDREN})
"""

_OF_USER = f"""
    SELECT {COLUMNS} FROM jobs WHERE id IN (SELECT shown.id FROM (SELECT $1::uuid AS id) u, LATERAL ({_SHOWN}) shown)
    ORDER BY id DESC
"""

_NEWER = f"""
    WITH known AS (SELECT * FROM unnest($3::uuid[], $4::bigint[]) AS t(id, known_seq)),
        looked_at AS (
            SELECT shown.id FROM unnest($1::uuid[]) AS u(id), LATERAL ({_SHOWN}) shown UNION SELECT id FROM known
        )
    SELECT {COLUMNS} FROM jobs JOIN looked_at USING (id) LEFT JOIN known USING (id)
    WHERE seq > coalesce(known_seq, 0) AND user_id = ANY ($1::uuid[])
    ORDER BY id
"""


_VALID = """
    SELECT k.id FROM api_keys k JOIN memberships m USING (tenant_id, user_id) JOIN users u ON u.id = k.user_id
    WHERE k.id = ANY ($1::uuid[]) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        AND m.created_at <= k.created_at AND u.disabled_at IS NULL
    UNION ALL
    SELECT s.id FROM sessions s JOIN memberships m USING (tenant_id, user_id) JOIN users u ON u.id = s.user_id
    WHERE s.id = ANY ($1::uuid[]) AND s.ended_at IS NULL AND s.expires_at > now()
        AND m.created_at <= s.created_at AND u.disabled_at IS NULL
"""


async def of_user(driver: Driver, user_id: UUID) -> list[asyncpg.Record]:
    """The user's unfinished jobs and those that just finished, the newest first."""
    await by_index(driver)
    return await driver.fetch(_OF_USER, user_id, JUST_FINISHED)


async def newer(driver: Driver, user_ids: Sequence[UUID], known: Mapping[str, int]) -> list[asyncpg.Record]:
    """What `of_user` has for these users, and the known jobs, where `seq` is above the known one."""
    await by_index(driver)
    return await driver.fetch(_NEWER, user_ids, JUST_FINISHED, list(known), list(known.values()))


async def valid_proofs(driver: Driver, ids: Collection[UUID | None]) -> set[UUID]:
    """API keys and sessions that are still worth something, as `authenticate` and `session_identity` see it."""
    rows = await driver.fetch(_VALID, [known for known in ids if known])
    return {row["id"] for row in rows}
