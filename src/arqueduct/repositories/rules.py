"""What an administrator says about the queue: what is paused, how much runs at a time, who gets which share.

As the owner of the tables: no role that serves may read or write rules. `admit` and the functions beside it obey them
(sql/versions/0002_steering.up.sql).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from arqueduct.database import Driver, owner_engine
from arqueduct.errors import DependencyUnavailable, NotFound, SetupError

__all__ = [
    "EVERYTHING",
    "EVERY_TENANT",
    "Rule",
    "Target",
    "TenantLine",
    "as_owner",
    "lines",
    "pause",
    "resume",
    "rules",
    "set_max_running",
    "set_weight",
]

ADMITTING = 1634891124
"""Advisory lock of `admit`: who holds it knows that nothing is being admitted."""
IDLE_SECONDS = 10
"""A terminal that was stopped with Ctrl-Z must not hold that lock."""
MOST_LINES = 200
"""Tenants in one answer: more than anybody reads."""


class Target(NamedTuple):
    """What a rule is about."""

    scope: Literal["all", "tenant", "kind"]
    name: str
    """The tenant's id or the kind; `*` for all of them."""


EVERYTHING = Target("all", "*")
EVERY_TENANT = Target("tenant", "*")
"""Each tenant that has no rule of its own."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What was said about a target."""

    scope: str
    name: str
    tenant: str | None
    """Name of the tenant, if it is about one that exists."""
    is_paused: bool
    max_running: int | None
    """How many jobs may be in flight; null: for one tenant what holds for every tenant, else as many as there are."""
    weight: float
    """Share of a tenant, relative to the others'."""


@dataclass(frozen=True, kw_only=True)
class TenantLine:
    """How a tenant stands that has jobs which wait or run, with the rules that hold for it."""

    tenant_id: UUID
    tenant: str
    waiting: int
    """Jobs that are due and wait for their turn."""
    later: int
    """Jobs that must not run before a time."""
    in_flight: int
    """Jobs that run, or that workers will take next."""
    is_paused: bool
    max_running: int | None
    weight: float


# A share of 0.1 is 0.10000000149 as a double, unless it goes by way of text.
_RULES = """
    SELECT r.scope, r.name, t.name AS tenant, r.is_paused, r.max_running, r.weight::text::float8 AS weight
    FROM queue_rules r LEFT JOIN tenants t ON r.scope = 'tenant' AND t.id::text = r.name
    ORDER BY r.scope, r.name
"""

_LINES = """
    WITH waiting AS (
        SELECT tenant_id, count(*) FILTER (WHERE run_after <= now()) AS due,
            count(*) FILTER (WHERE run_after > now()) AS later
        FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL GROUP BY tenant_id
    ), busy AS (
        SELECT tenant_id, sum(jobs)::bigint AS jobs FROM in_flight() GROUP BY tenant_id
    )
    SELECT t.id AS tenant_id, t.name AS tenant, coalesce(w.due, 0) AS waiting, coalesce(w.later, 0) AS later,
        coalesce(b.jobs, 0) AS in_flight, coalesce(own.is_paused, every.is_paused, false) AS is_paused,
        coalesce(own.max_running, every.max_running) AS max_running,
        coalesce(own.weight, every.weight, 1)::text::float8 AS weight
    FROM waiting w FULL JOIN busy b USING (tenant_id) JOIN tenants t ON t.id = tenant_id
    LEFT JOIN queue_rules own ON own.scope = 'tenant' AND own.name = t.id::text
    LEFT JOIN queue_rules every ON every.scope = 'tenant' AND every.name = '*'
    ORDER BY coalesce(w.due, 0) + coalesce(b.jobs, 0) DESC, t.id LIMIT $1
"""

# A rule replaces that of every tenant, so a tenant's first rule begins with what held for it.
_BEGIN = """
    INSERT INTO queue_rules (scope, name, is_paused, weight)
    SELECT $1, $2, coalesce(every.is_paused, false), coalesce(every.weight, 1)
    FROM (SELECT 1) one LEFT JOIN queue_rules every
        ON $1 = 'tenant' AND $2 <> '*' AND every.scope = 'tenant' AND every.name = '*'
    ON CONFLICT DO NOTHING
"""

_SAYS_NOTHING = """
    DELETE FROM queue_rules r WHERE r.scope = $1 AND r.name = $2 AND r.max_running IS NULL
        AND (r.is_paused, r.weight) = (
            SELECT coalesce(every.is_paused, false), coalesce(every.weight, 1)
            FROM (SELECT 1) one LEFT JOIN queue_rules every
                ON $1 = 'tenant' AND $2 <> '*' AND every.scope = 'tenant' AND every.name = '*'
        )
"""

# Locked in the order of their ids, as everybody does who locks several jobs. They keep their turn.
_TAKE_BACK = """
    WITH ahead AS (
        SELECT id FROM jobs j WHERE state = 'queued' AND dispatched_at IS NOT NULL AND (
            $1 = 'all' OR ($1 = 'kind' AND kind = $2) OR ($1 = 'tenant' AND (tenant_id::text = $2 OR ($2 = '*'
                AND NOT EXISTS (SELECT FROM queue_rules r WHERE r.scope = 'tenant' AND r.name = j.tenant_id::text))))
        ) ORDER BY id FOR NO KEY UPDATE
    ), back AS (
        UPDATE jobs j SET dispatch = j.dispatch + 1, dispatched_at = NULL FROM ahead a WHERE j.id = a.id RETURNING 1
    )
    SELECT count(*) FROM back
"""


@asynccontextmanager
async def as_owner(url: str) -> AsyncIterator[Driver]:
    """One transaction. Raises `DependencyUnavailable`, and `SetupError` if the tables are not there or old."""
    engine = owner_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"))
            yield cast("Driver", (await connection.get_raw_connection()).driver_connection)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as error:
        raise SetupError(
            "This database has no tables yet, or old ones.", advice="Run `arqueduct migrate up`."
        ) from error
    except (OSError, TimeoutError, DBAPIError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise DependencyUnavailable(f"Postgres is away: {error or type(error).__name__}") from error
    finally:
        await engine.dispose()


async def rules(driver: Driver) -> list[Rule]:
    """All that was said."""
    return [Rule(**row) for row in await driver.fetch(_RULES)]


async def lines(driver: Driver) -> list[TenantLine]:
    """Tenants that have jobs which wait or run, those with the most first."""
    return [TenantLine(**row) for row in await driver.fetch(_LINES, MOST_LINES)]


async def pause(driver: Driver, target: Target) -> int:
    """Lets nothing of it begin from the commit on; what runs goes on.

    Returns how many jobs it took back that waited in Redis already. Raises `NotFound` for an unknown tenant.
    """
    # Whoever is admitting has seen the old rules, and its jobs could not be taken back: they are not there yet.
    await driver.execute("SELECT pg_advisory_xact_lock($1)", ADMITTING)
    await _change(driver, target, "is_paused", True)
    taken: int = await driver.fetchval(_TAKE_BACK, *target)
    return taken


async def resume(driver: Driver, target: Target) -> None:
    """Undoes a pause. What another rule pauses stays paused. Raises `NotFound` for an unknown tenant."""
    await _change(driver, target, "is_paused", False)


async def set_max_running(driver: Driver, target: Target, most: int | None) -> None:
    """How many jobs may be in flight; for jobs that begin from now on. Raises `NotFound` for an unknown tenant."""
    await _change(driver, target, "max_running", most)


async def set_weight(driver: Driver, target: Target, weight: float) -> None:
    """The share of a tenant. Raises `NotFound` for an unknown one."""
    await _change(driver, target, "weight", weight)


async def _change(
    driver: Driver, target: Target, column: Literal["is_paused", "max_running", "weight"], value: Any
) -> None:
    if target.scope == "tenant" and target != EVERY_TENANT:
        known = await driver.fetchval("SELECT EXISTS (SELECT FROM tenants WHERE id::text = $1)", target.name)
        if not known:
            raise NotFound(f"There is no tenant with the id {target.name}.")
    await driver.execute(_BEGIN, *target)
    await driver.execute(f"UPDATE queue_rules SET {column} = $3 WHERE scope = $1 AND name = $2", *target, value)
    await driver.execute(_SAYS_NOTHING, *target)
