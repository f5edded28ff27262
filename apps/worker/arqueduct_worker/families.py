"""Keeps parents up to date with their children. Runs in every worker; a parent is folded by one at a time, once an
interval at the most, and nothing is lost if nobody does for a while: what was noted stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import structlog

from arqueduct import metrics
from arqueduct.errors import DependencyUnavailable
from arqueduct.families import Asked
from arqueduct.lifecycle import Action
from arqueduct.repositories import folding, parents, steering
from arqueduct.repositories.steering import JobFilter
from arqueduct_worker.services import Services

__all__ = ["Families"]

log = structlog.get_logger()

MOST_PARENTS = 200
"""Folded in one transaction: each takes some two milliseconds."""

BATCH = 500
"""Children changed in one transaction: some tenths of a second, which a heartbeat can wait."""

LOOKS = 2
"""A parent's interval: looked for what is due so often, so that it is folded soon after it may be."""

ACTIONS = {
    Asked.CANCEL: Action.CANCEL,
    Asked.STOP: Action.CANCEL,
    Asked.PAUSE: Action.PAUSE,
    Asked.RESUME: Action.RESUME,
}


class Families:
    """Folds what was noted of children into their parents, and sees to what is wanted of all children of one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._interval = services.settings.parent_interval

    async def run(self) -> None:
        """Folds for as long as the process lives."""
        await self._for_ever(self.fold)

    async def run_steering(self) -> None:
        """Sees to what is wanted for as long as the process lives. Apart from folding: it may take long."""
        await self._for_ever(self.see_to)

    async def fold(self) -> None:
        """One look at parents of which something was noted."""
        services = self._services
        interval = timedelta(seconds=self._interval)
        async with services.database.transaction() as transaction:
            due = await folding.due(transaction.driver, interval=interval, most=MOST_PARENTS)
            if not due:
                return
            folded = await folding.fold(transaction.driver, due, interval=interval, waits=False)
        metrics.parents_folded.inc(folded.folded)
        await services.dispatcher.announce(folded.rows)

    async def see_to(self) -> None:
        """Does what is wanted to children that it was not done to: those that came back, or that a request which was
        cut short had not reached."""
        async with self._services.database.transaction() as transaction:
            await parents.forget_resumed(transaction.driver)
            found = await parents.asked(transaction.driver)
        for row in found:
            try:
                await self._steer(row["tenant_id"], row["job_id"], Asked(row["asked"]))
            except Exception as error:  # one family must not keep the others waiting
                log.warning("children not steered yet", parent=str(row["job_id"]), error=repr(error))

    async def _for_ever(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
            except DependencyUnavailable as error:
                log.warning("families not looked after", error=str(error))
            except Exception:
                log.exception("families not looked after")
            await asyncio.sleep(self._interval / LOOKS)

    async def _steer(self, tenant_id: UUID, parent_id: UUID, asked: Asked) -> None:
        services, action = self._services, ACTIONS[asked]
        children = JobFilter(parent_id=parent_id)
        while True:
            async with services.database.transaction(tenant_id) as transaction:
                driver = transaction.driver
                ids = await steering.matching(driver, action, children, limit=BATCH, locked=True)
                if not await parents.is_asked(driver, parent_id, asked):
                    return  # somebody asked for something else since
                done = await steering.apply(driver, action, ids)
            await services.dispatcher.dispatch(done.rows)
            await services.dispatcher.tell(action, done.asked)
            if len(ids) < BATCH:
                break
