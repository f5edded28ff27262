"""A tenant with a receiver: the API and a worker in the test's own process, and time that can be made to pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from tests.integration.backend import problem
from tests.integration.many_jobs import Owner
from tests.integration.receiver import Receiver
from tests.integration.worker import TestWorker

__all__ = ["Hook", "Site"]


@dataclass(frozen=True, kw_only=True)
class Hook:
    """An endpoint, and the secret that was shown once."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a test asks and does."""

    api: httpx.AsyncClient
    worker: TestWorker
    owner: Owner
    receiver: Receiver

    async def hook(self, url: str | None = None, **asked: Any) -> Hook:
        answer = await self.api.post("/api/v1/webhooks", json={"url": url or self.receiver.url(), **asked})
        assert answer.status_code == 201, answer.text
        return Hook(id=answer.json()["webhook"]["id"], secret=answer.json()["secret"])

    async def webhook(self, hook: Hook) -> Any:
        return (await self.api.get(f"/api/v1/webhooks/{hook.id}")).json()

    async def ping(self, hook: Hook) -> str:
        """The id of the delivery."""
        answer = await self.api.post(f"/api/v1/webhooks/{hook.id}/ping")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def deliveries(self, hook: Hook, **parameters: str) -> list[Any]:
        answer = await self.api.get(f"/api/v1/webhooks/{hook.id}/deliveries", params=parameters)
        return list(answer.json()["items"])

    async def details(self, hook: Hook, delivery: str) -> Any:
        answer = await self.api.get(f"/api/v1/webhooks/{hook.id}/deliveries/{delivery}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def redeliver(self, hook: Hook, delivery: str) -> httpx.Response:
        return await self.api.post(f"/api/v1/webhooks/{hook.id}/deliveries/{delivery}/redeliver")

    async def waiting(self) -> list[asyncpg.Record]:
        """Jobs that deliver, in order."""
        return await self.owner.fetch(
            "SELECT id, dispatch, extract(epoch FROM run_after - now())::float8 AS due FROM jobs "
            "WHERE kind = 'webhook.deliver' AND state = 'queued' ORDER BY id"
        )

    async def work(self, worker: TestWorker | None = None) -> None:
        """Makes one attempt at everything that waits, due or not."""
        for job in await self.waiting():
            await (worker or self.worker).run(job["id"], job["dispatch"])

    async def pass_rests(self) -> None:
        """What time does."""
        await self.owner.execute("UPDATE webhook_endpoints SET resting_until = now() WHERE resting_until IS NOT NULL")

    async def row(self, delivery: str) -> Mapping[str, Any]:
        found = await self.owner.fetchrow("SELECT * FROM webhook_deliveries WHERE id = $1", UUID(delivery))
        assert found is not None
        return dict(found)

    async def refused(self, url: str) -> None:
        problem(await self.api.post("/api/v1/webhooks", json={"url": url}), 422, "webhook_address_refused")
