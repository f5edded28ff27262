"""An `arqueduct up` on the common servers, for what is measured within one start of it."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from arqueduct.cli.own_up import running_up
from arqueduct.repositories import rules
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.records import Credentials, Runtime
from benchmarks.backing import Backing, environment

__all__ = ["Installation", "installed"]

UPLOADS_AT_ONCE = 8
LOOK_SECONDS = 0.1
OPEN = "('queued', 'running', 'paused')"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """`owner` may see everything of the database; `http` is signed in."""

    folder: DataFolder
    runtime: Runtime
    credentials: Credentials
    owner: "asyncpg.Connection[asyncpg.Record]"
    http: httpx.AsyncClient

    async def pause(self) -> None:
        await rules.pause(self.owner, rules.EVERYTHING)

    async def resume(self) -> None:
        """The worker notices within a second: `ARQUEDUCT_SWEEP`."""
        await rules.resume(self.owner, rules.EVERYTHING)

    async def upload(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Raises `RuntimeError` when one is refused."""
        gate = asyncio.Semaphore(UPLOADS_AT_ONCE)

        async def put(name: str, content: bytes) -> None:
            async with gate:
                answer = await self.http.post("/documents", files={"file": (name, content)})
            if not answer.is_success:
                raise RuntimeError(f"{name} was refused: {answer.status_code} {answer.text[:300]}")

        await asyncio.gather(*(put(name, content) for name, content in files))

    async def is_busy(self) -> bool:
        return bool(await self.owner.fetchval(f"SELECT EXISTS (SELECT FROM jobs WHERE state IN {OPEN})"))

    async def finished(self) -> None:
        while await self.is_busy():
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def installed(backing: Backing, **settings: str) -> AsyncIterator[Installation]:
    """With one worker, in a database of its own, gone afterwards. `settings` by their variables."""
    database = await backing.fresh()
    folder = DataFolder(Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="arqueduct-bench-")))
    url = backing.postgres.url(database=database)
    servers = {"ARQUEDUCT_DATABASE_URL": url, "ARQUEDUCT_REDIS_URL": backing.redis_url}
    common = {"ARQUEDUCT_SWEEP": "1", "ARQUEDUCT_LOG_LEVEL": "warning"}
    try:
        with _environment(environment(servers | common | settings)):
            async with running_up(folder.path, "--port", "0", "--workers", "1"):
                opened = await _opened(folder, url)
                async with opened.http:
                    try:
                        yield opened
                    finally:
                        await opened.owner.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder.path, ignore_errors=True)
        await backing.drop(database)


async def _opened(folder: DataFolder, url: str) -> Installation:
    runtime, credentials = folder.running(), folder.known_credentials()
    assert runtime is not None
    assert credentials is not None
    http = httpx.AsyncClient(
        base_url=f"{credentials.url}/api/v1",
        headers={"X-API-Key": credentials.api_key},
        timeout=120,
        trust_env=False,
    )
    owner = await asyncpg.connect(url)
    return Installation(folder=folder, runtime=runtime, credentials=credentials, owner=owner, http=http)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Of this process, for as long as the block lasts: `running_up` hands it on."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
