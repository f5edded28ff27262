"""Whether this process could serve a request now: each thing it needs, asked at once and within two seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache

import msgspec

from arqueduct import migrations
from arqueduct.bus import AWAY
from arqueduct.errors import ArqueductError
from arqueduct.repositories import sweeps
from arqueduct_backend.state import State

__all__ = ["Check", "Readiness", "readiness"]

MOST_SECONDS = 2.0
"""Orchestrators give a probe some three seconds."""

READY = "ready"

TOLD = frozenset({"admission"})
"""Checks that do not decide: every process admits for all, and this one can serve while only others do."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is needed."""

    ok: bool
    detail: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    status: str
    """`ready` or `not ready`; what stands in `TOLD` does not decide."""
    checks: dict[str, Check]

    @property
    def is_ready(self) -> bool:
        return self.status == READY


async def readiness(services: State) -> Readiness:
    asked: dict[str, Callable[[State], Awaitable[str]]] = {
        "database": _database,
        "redis": _redis,
        "migrations": _migrations,
        "workers": _workers,
        "admission": _admission,
        "storage": _storage,
    }
    found = await asyncio.gather(*(_checked(ask, services) for ask in asked.values()))
    checks = dict(zip(asked, found, strict=True))
    is_ready = all(check.ok for name, check in checks.items() if name not in TOLD)
    return Readiness(status=READY if is_ready else "not ready", checks=checks)


class _NotReady(Exception):
    """Says why, in words for an administrator."""


async def _checked(ask: Callable[[State], Awaitable[str]], services: State) -> Check:
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return Check(ok=True, detail=await ask(services))
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {MOST_SECONDS:g} s")
    except (ArqueductError, _NotReady) as error:
        return Check(ok=False, detail=str(error))
    except Exception as error:
        return Check(ok=False, detail=type(error).__name__)


async def _database(services: State) -> str:
    async with services.database.transaction() as transaction:
        version = await transaction.driver.fetchval("SHOW server_version")
    return f"Postgres {version}"


async def _redis(services: State) -> str:
    try:
        await services.redis.ping()
    except AWAY as error:
        raise _NotReady(f"Redis is away: {type(error).__name__}") from error
    return "answers"


async def _migrations(services: State) -> str:
    head = await asyncio.to_thread(_head)
    async with services.database.transaction() as transaction:
        current = await transaction.driver.fetchval("SELECT version_num FROM alembic_version")
    if current != head:
        raise _NotReady(f"The database is at revision {current}, this version needs {head}: `arqueduct migrate up`.")
    return f"at revision {head}"


async def _workers(services: State) -> str:
    async with services.database.transaction() as transaction:
        health = await sweeps.health(transaction.driver, alive=services.settings.alive_time)
    if not health["live_workers"]:
        raise _NotReady("No worker gives a sign of life: start one with `arqueduct worker`.")
    return (
        f"{health['live_workers']} alive, {health['queued']} jobs queued, the oldest due for "
        f"{health['oldest_queued_seconds']:.0f} s, {health['running']} running, {health['retrying']} to be retried, "
        f"{health['lapsed_leases']} leases lapsed, {health['quarantined']} quarantined"
    )


async def _admission(services: State) -> str:
    if services.admitter.error is not None:
        raise _NotReady(f"This process puts no jobs on the run-way: {services.admitter.error}")
    return "the last look at the lines worked"


async def _storage(services: State) -> str:
    await services.storage.check()
    return "answers"


@lru_cache(maxsize=1)
def _head() -> str:
    """Of this code; it cannot change while the process runs."""
    return migrations.head()
