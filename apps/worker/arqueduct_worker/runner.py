"""Follows wake-ups: claims the jobs they name, and runs an attempt at each."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from arqueduct import metrics
from arqueduct.eta import WAIT
from arqueduct.repositories import jobs
from arqueduct.repositories.jobs import Claimed
from arqueduct.together import Together
from arqueduct.webhooks.kinds import is_ours
from arqueduct_worker.attempt import Attempt
from arqueduct_worker.services import Services

__all__ = ["Runner"]

log = structlog.get_logger()

WakeUpId = tuple[UUID, int]
"""Job and number of the dispatch."""

CLAIMS_AT_ONCE = 2
"""One that waits for a row somebody holds must not hold up the others."""


class Runner:
    """Runs attempts. Wake-ups that come together are claimed together, in one statement."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._claims = Together(self._claim, at_once=CLAIMS_AT_ONCE)

    async def run(self, job_id: UUID, dispatch: int) -> None:
        """Follows one wake-up. Raises `DependencyUnavailable` if the job could not even be claimed."""
        services = self._services
        claimed = await self._claims.ask((job_id, dispatch))
        if claimed is None:
            log.debug("stale wake-up", job=str(job_id), dispatch=dispatch)
            return
        services.admitter.nudge()
        ids = {"job": str(claimed.id), "document": str(claimed.document_id), "attempt": claimed.fence}
        services.reporter.open((claimed.id, claimed.fence), None if is_ours(claimed.kind) else claimed.user_id)
        try:
            held = services.leases.hold(claimed.id, claimed.fence, confirmed_at=claimed.asked_at)
            with bound_contextvars(**ids), held as lease:
                log.info("job claimed", kind=claimed.kind, waited=round(claimed.waited, 3))
                metrics.job_wait_seconds.labels(claimed.kind).observe(claimed.waited)
                services.runs.note(claimed, WAIT, claimed.waited)
                await Attempt(services, claimed, lease).run()
        finally:
            services.reporter.close((claimed.id, claimed.fence))
            services.admitter.nudge()

    async def _claim(self, wake_ups: Sequence[WakeUpId]) -> list[Claimed | None]:
        services = self._services
        async with services.database.autocommit() as driver:
            found = await jobs.claim(driver, wake_ups, services.name, services.settings.lease_time)
        claimed = {(job.id, job.dispatch): job for job in found}
        # The same wake-up may have come twice; it is one attempt.
        return [claimed.pop(wake_up, None) for wake_up in wake_ups]
