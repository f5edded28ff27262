"""A worker inside the test's own process: real Postgres, Valkey, storage and parsers; only the vectors are cheap."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from arqueduct import events
from arqueduct.database import Database
from arqueduct.events import JobMessage
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Blob, Document, Job
from arqueduct.pipeline import Stage
from arqueduct.repositories import documents, jobs
from arqueduct.settings import Settings
from arqueduct.storage.layout import blob_key
from arqueduct.testing import HashingEmbedder
from arqueduct_worker.main import open_services
from arqueduct_worker.runner import Runner
from arqueduct_worker.services import Services


@dataclass(frozen=True, kw_only=True)
class TestWorker:
    """Services with their background tasks running."""

    __test__ = False
    services: Services
    embedder: HashingEmbedder
    heard: list[JobMessage]
    """What was published for the user, in order."""

    async def run(self, job_id: UUID, dispatch: int = 0) -> None:
        """Follows a wake-up as arq would."""
        await Runner(self.services).run(job_id, dispatch)

    def with_settings(self, settings: Settings) -> "TestWorker":
        """The same worker, told other settings."""
        return replace(self, services=replace(self.services, settings=settings))

    def with_stages(self, *stages: Stage) -> "TestWorker":
        """The same worker with other stages for every kind of job."""
        return replace(self, services=replace(self.services, registry=FixedRegistry(stages)))


class FixedRegistry:
    """Runs the given stages whatever the kind of the job."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    def stages(self, _kind: str, **_: Any) -> Sequence[Stage]:
        return self._stages

    def pipeline(self, _kind: str) -> None:
        """None is declared: they are tried again as every kind is."""


@asynccontextmanager
async def working(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    """A worker that hears what is published for `me`."""
    embedder = HashingEmbedder()
    async with open_services(settings, embedder=embedder) as (services, redis, keys):
        heard: list[JobMessage] = []
        async with redis.pubsub() as channel:
            await channel.subscribe(keys.live(me.user_id))

            async def hear() -> None:
                async for message in channel.listen():
                    if message["type"] == "message":
                        heard.append(events.decode(message["data"]))

            tasks = [asyncio.create_task(task) for task in (services.leases.run(), services.reporter.run(), hear())]
            try:
                yield TestWorker(services=services, embedder=embedder, heard=heard)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def submit(
    worker: TestWorker,
    me: NewIdentity,
    content: bytes,
    *,
    format: Format,
    name: str = "a file",
    kind: str = "document.ingest",
    payload: dict[str, Any] | None = None,
) -> Job:
    """Stores a document and its job, as the API does."""
    services = worker.services
    blob = Blob(id=new_id(), tenant_id=me.tenant_id, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    path = services.settings.data_dir / "upload"
    await asyncio.to_thread(_write, path, content)
    await services.storage.put_file(blob_key(me.tenant_id, blob.id), path)
    return await insert(services.settings, me, blob, format=format, name=name, kind=kind, payload=payload)


async def insert(
    settings: Settings,
    me: NewIdentity,
    blob: Blob,
    *,
    format: Format,
    name: str,
    kind: str = "document.ingest",
    payload: dict[str, Any] | None = None,
) -> Job:
    """The transaction of an upload."""
    from arqueduct.database import Role

    assert settings.app_database_url is not None
    database = Database(settings.app_database_url.get_secret_value(), Role.APP, pool_size=2)
    try:
        async with database.transaction(me.tenant_id) as transaction:
            kept = await documents.add_blob(transaction, blob)
            job = Job(
                id=new_id(),
                tenant_id=me.tenant_id,
                user_id=me.user_id,
                kind=kind,
                document_name=name,
                payload=payload or {},
            )
            document = Document(
                tenant_id=me.tenant_id,
                user_id=me.user_id,
                blob_id=kept.id,
                job_id=job.id,
                name=name,
                content_type=format.value,
                size=blob.size,
                sha256=blob.sha256,
                language="english",
            )
            job.document_id = document.id
            transaction.session.add_all([document, job])
            await transaction.session.flush()
            await jobs.note_created(transaction.driver, [job.id])
        return job
    finally:
        await database.aclose()


async def row(database: Database, job_id: UUID) -> dict[str, Any]:
    """The job as it stands."""
    async with database.transaction() as transaction:
        found = await transaction.driver.fetchrow("SELECT * FROM jobs WHERE id = $1", job_id)
    assert found is not None
    return dict(found)


async def until(condition: Any, seconds: float = 10) -> None:
    """Waits for an async condition to hold, with a deadline."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
