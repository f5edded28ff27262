"""Our side of the contest of whole jobs: the product's own workers on its own schema."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from arqueduct import identity
from arqueduct.cli.queue_bench.crew import Staff, employing, python_module
from arqueduct.cli.queue_bench.producer import DEFAULTS, open_producer
from arqueduct.cli.queue_bench.side import WARM_UPS, Side, empty_copy, owning
from arqueduct.database import Role
from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey
from arqueduct.errors import SetupError
from arqueduct.identity import NewIdentity
from arqueduct.keys import Keys
from arqueduct.supervisor.bootstrap import bring_up_schema, let_roles_log_in
from arqueduct.supervisor.environment import variables_of_servers

__all__ = ["Product", "open_product"]

TEMPLATE = "arqueduct_template"
WORKER = "arqueduct.cli.queue_bench.noop_worker"


class Product(Side):
    def __init__(
        self, folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, me: NewIdentity, concurrency: int
    ) -> None:
        self._folder = folder
        self._concurrency = concurrency
        self._postgres = postgres
        self._valkey = valkey
        self._me = me

    async def run(self, jobs: int, workers: int) -> list[float]:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._folder))
        keys = Keys(prefix=f"bench-{uuid4().hex}")
        commands = [python_module(WORKER)] * workers
        async with empty_copy(self._postgres, TEMPLATE) as database:
            environment = self._environment(database, folder, keys)
            async with (
                employing(folder / "said", commands, environment=environment) as staff,
                open_producer(self._postgres.url(Role.APP, database), self._valkey.url(), keys, self._me) as producer,
            ):
                await self._started(staff, database, workers)
                await producer.carry(WARM_UPS, staff)
                ends = await producer.carry(jobs, staff)
            await self._check(database, jobs + WARM_UPS)
        return ends

    def _environment(self, database: str, folder: Path, keys: Keys) -> Mapping[str, str]:
        """Everything at its default but the concurrency, and the log, which on the other side is silent too."""
        foreign = variables_of_servers()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in foreign and not name.startswith(("ARQUEDUCT_", "OPENAI_"))
        }
        return kept | {
            "ARQUEDUCT_DATA_DIR": str(folder),
            "ARQUEDUCT_WORKER_DATABASE_URL": self._postgres.url(Role.WORKER, database),
            "ARQUEDUCT_REDIS_URL": self._valkey.url(),
            "ARQUEDUCT_REDIS_PREFIX": keys.prefix,
            "ARQUEDUCT_WORKER_CONCURRENCY": str(self._concurrency),
            "ARQUEDUCT_EMBEDDER": "local",
            "ARQUEDUCT_LOG_LEVEL": "warning",
        }

    async def _started(self, staff: Staff, database: str, workers: int) -> None:
        async with owning(self._postgres, database) as owner:

            async def are_there() -> bool:
                return bool(await owner.fetchval("SELECT count(*) >= $1 FROM workers", workers))

            await staff.until(are_there, look=0.05)

    async def _check(self, database: str, count: int) -> None:
        """Raises `SetupError` unless the rows say what was heard."""
        async with owning(self._postgres, database) as owner:
            found = await owner.fetchval("SELECT count(*) FROM jobs WHERE state = 'completed' AND fence = 1")
        if found != count:
            raise SetupError(f"{count} jobs were heard to be completed, but Postgres has {found}: please report this.")


@asynccontextmanager
async def open_product(
    folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, concurrency: int
) -> AsyncIterator[Product]:
    """Makes the schema once; both servers run."""
    async with owning(postgres) as owner:
        await owner.execute(f"CREATE DATABASE {TEMPLATE}")
    url = postgres.url(database=TEMPLATE)
    await bring_up_schema(url, DEFAULTS)
    await let_roles_log_in(postgres)
    me = await identity.create(url, tenant="bench", email="bench@localhost")
    yield Product(folder, postgres, valkey, me, concurrency)
