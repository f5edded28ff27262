"""One tenant's documents, a provider that counts what it sells, and the rows as the owner of the tables sees them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from arq.connections import ArqRedis
from pydantic import SecretStr

from arqueduct import embedding, migrations
from arqueduct.bus import connect
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.models import Blob, Job
from arqueduct.settings import Settings
from arqueduct.storage import Storage
from arqueduct.storage.layout import blob_key
from tests.chaos import invariants
from tests.integration.crashing import EXTRACTIONS
from tests.integration.many_jobs import Owner, owning
from tests.integration.worker import insert, until
from tests.openai_server import OpenAIServer, openai_server

__all__ = ["BATCH", "TEXT", "Trial", "redis_of", "selling", "trying"]

BATCH = 4
"""Texts that are bought together."""
TEXT = "".join(f"Sentence number {number} is unlike all the others. " for number in range(90)).encode()
"""Some fifteen chunks, none like another: four batches."""
PATIENCE = 30.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a test breaks."""

    settings: Settings
    """Of the processes."""
    me: NewIdentity
    provider: OpenAIServer
    owner: Owner

    async def deliver(self, content: bytes = TEXT, *, format: Format = Format.TEXT) -> UUID:
        """A document and its job, committed as by an upload; whoever looks next admits it."""
        sha256 = hashlib.sha256(content).hexdigest()
        blob = Blob(id=new_id(), tenant_id=self.me.tenant_id, sha256=sha256, size=len(content))
        path = self.settings.data_dir / f"upload-{blob.id}"
        await asyncio.to_thread(_write, path, content)
        storage = Storage.open(self.settings.effective_storage_url)
        await storage.put_file(blob_key(self.me.tenant_id, blob.id), path)
        job: Job = await insert(self.settings, self.me, blob, format=format, name=f"{blob.id}.{format.name.lower()}")
        return job.id

    async def row(self, job_id: UUID) -> asyncpg.Record:
        found = await self.owner.fetchrow("SELECT * FROM jobs WHERE id = $1", job_id)
        assert found is not None
        return found

    async def attempts(self, job_id: UUID) -> list[asyncpg.Record]:
        return await self.owner.fetch("SELECT * FROM job_attempts WHERE job_id = $1 ORDER BY attempt", job_id)

    async def outcomes(self, job_id: UUID) -> list[str]:
        return [attempt["outcome"] for attempt in await self.attempts(job_id)]

    async def reaches(self, job_id: UUID, seconds: float = PATIENCE, **values: Any) -> asyncpg.Record:
        """Waits until the row has these values."""
        found = await self.row(job_id)

        async def reached() -> bool:
            nonlocal found
            found = await self.row(job_id)
            return all(found[name] == value for name, value in values.items())

        try:
            await until(reached, seconds)
        except TimeoutError:
            raise AssertionError(f"{values} were not reached: {dict(found)}, {await self.attempts(job_id)}") from None
        return found

    async def lapse(self) -> None:
        """What time does to the leases of those who died."""
        await self.owner.execute("UPDATE jobs SET lease_until = now() WHERE state = 'running'")

    @property
    def sold_again(self) -> int:
        """Texts that were asked for more than once."""
        return len(self.provider.texts) - len(set(self.provider.texts))

    async def extractions(self) -> int:
        """How often a parser was given a document, by any process that a launcher started."""
        return len(await asyncio.to_thread(_lines, self.settings.data_dir / EXTRACTIONS))

    async def broken_rules(self) -> list[invariants.Broken]:
        return await invariants.check(self.owner)

    async def left_in(self, pid: int) -> list[str]:
        """Files in the work folders of all workers, while the one with this id lives."""
        return await asyncio.to_thread(_left, self.settings.temporary_dir, pid)


@asynccontextmanager
async def selling(settings: Settings) -> AsyncIterator[tuple[Settings, OpenAIServer]]:
    """A provider of vectors of its own, and the settings that know it."""
    assert settings.database_url is not None
    with openai_server() as provider:
        ours = settings.model_copy(
            update={
                "embedder": "openai",
                "openai_base_url": provider.url,
                "openai_api_key": SecretStr("sk-test-0123456789abcdef"),
                "embedding_dimensions": 64,
                "embedding_batch": BATCH,
                "embedding_requests": 1,
                "chunk_chars": 300,
                "chunk_overlap": 30,
                "parsers": 1,
                "log_level": "warning",
            }
        )
        await migrations.ensure_model(settings.database_url.get_secret_value(), embedding.model_of(ours))
        yield ours, provider


@asynccontextmanager
async def trying(settings: Settings, me: NewIdentity, **changes: Any) -> AsyncIterator[Trial]:
    """`changes`: of the settings of the processes."""
    async with selling(settings.model_copy(update=changes)) as (ours, provider), owning(settings) as owner:
        yield Trial(settings=ours, me=me, provider=provider, owner=owner)


@asynccontextmanager
async def redis_of(settings: Settings) -> AsyncIterator[ArqRedis]:
    assert settings.redis_url is not None
    redis = connect(settings.redis_url.get_secret_value(), Keys(prefix=settings.redis_prefix))
    try:
        yield redis
    finally:
        await redis.aclose()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _left(folder: Path, pid: int) -> list[str]:
    own = folder / f"worker-{pid}"
    return sorted(str(path) for path in folder.glob("worker-*/**") if path != own)
