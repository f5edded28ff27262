"""Cancel, pause, resume or retry many jobs: some hundred a transaction, each told as soon as it is committed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from arqueduct.identity import Identity
from arqueduct.lifecycle import Action
from arqueduct.permissions import check_kinds, withheld
from arqueduct.repositories import steering, upkeep
from arqueduct.repositories.steering import JobFilter
from arqueduct_backend.access import Acting
from arqueduct_backend.overseeing import Steered
from arqueduct_backend.state import State

__all__ = ["BATCH", "MOST", "steer"]

log = structlog.get_logger()

BATCH = 500
"""Jobs of one transaction and of one pipeline to Redis: some tenths of a second, which a heartbeat can wait."""
MOST = 10_000
"""Jobs that one request changes: seconds, not minutes; `remaining` says that there are more."""
PAUSES = (0.05, 0.2, 0.5)
"""Seconds before jobs that somebody held are tried again. Who holds one is about to commit."""


async def steer(services: State, acting: Acting, action: Action, wanted: JobFilter, *, apart: bool = True) -> Steered:
    """Does it to the caller's jobs that fit and whose state allows it. Kinds that he may not steer do not fit, and runs
    of upkeep are retried by themselves only. `apart`: not because it is done to their family.

    A job is changed once, also when it fits again meanwhile, as one that was retried and failed at once does. Raises
    `Forbidden` if he names such a kind, and `DependencyUnavailable`; what was committed before stays.
    """
    caller = acting.identity
    check_kinds(caller.permissions, wanted.kinds or (), steers=True)
    withheld_kinds = withheld(caller.permissions, steers=True)
    wanted = replace(wanted, without=[*withheld_kinds, *(upkeep.KINDS if action is Action.RETRY else ())])
    changed: set[UUID] = set()
    asked: set[UUID] = set()
    for pause in (*PAUSES, None):
        found = await _find(services, caller, action, wanted)
        fresh = [job_id for job_id in found if job_id not in changed | asked][: MOST - len(changed | asked)]
        for start in range(0, len(fresh), BATCH):
            named = replace(wanted, ids=fresh[start : start + BATCH])
            done = await _apply(services, acting, action, named, apart=apart)
            changed.update(row["id"] for row in done.rows)
            asked.update(done.asked)
        remaining = await _remaining(services, caller, action, wanted)
        if pause is None or not remaining or len(changed | asked) >= MOST:
            break
        await asyncio.sleep(pause)
    log.info("jobs steered", action=action, changed=len(changed), asked=len(asked), remaining=remaining)
    return Steered(changed=len(changed), asked=len(asked), remaining=remaining)


async def _find(services: State, caller: Identity, action: Action, wanted: JobFilter) -> Sequence[UUID]:
    """One look at them all: a look a batch would pass over what is done again and again. It locks nothing; the change
    looks anew, and leaves out what somebody holds."""
    async with services.database.transaction(caller.tenant_id) as transaction:
        return await steering.matching(transaction.driver, action, wanted, limit=MOST)


async def _apply(
    services: State, acting: Acting, action: Action, wanted: JobFilter, *, apart: bool
) -> steering.Changed:
    async with services.database.transaction(acting.identity.tenant_id) as transaction:
        ids = await steering.matching(transaction.driver, action, wanted, limit=BATCH, locked=True)
        done = await steering.apply(transaction.driver, action, ids, apart=apart)
        if ids:
            await acting.note(transaction, after={"job_ids": [str(job_id) for job_id in ids]})
    await services.dispatcher.dispatch(done.rows)
    await services.dispatcher.tell(action, done.asked)
    return done


async def _remaining(services: State, caller: Identity, action: Action, wanted: JobFilter) -> int:
    async with services.database.transaction(caller.tenant_id) as transaction:
        return await steering.remaining(transaction.driver, action, wanted)
