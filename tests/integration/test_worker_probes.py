"""What a worker answers to those who watch it: while it cannot start, and while it cannot admit."""

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from arqueduct import migrations
from arqueduct.embedded.process import free_port
from arqueduct.errors import SetupError
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct_worker.main import open_services
from tests.integration.launcher import Launcher, Program, launching, loading
from tests.integration.many_jobs import owning
from tests.integration.worker import until

AWAY = SecretStr("postgresql://nobody:x@127.0.0.1:9/none")
START_SECONDS = 30


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


async def test_a_worker_that_waits_for_postgres_answers(settings: Settings, launcher: Launcher) -> None:
    port = free_port()
    away = settings.model_copy(update={"worker_database_url": AWAY, "worker_metrics_port": port})
    worker = await launcher.start(away)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:

        async def says_what_is_missing() -> bool:
            try:
                ready = await client.get("/readyz")
            except httpx.TransportError:
                return False
            assert (ready.status_code, ready.json()["checks"]["start"]["ok"]) == (503, False)
            database = ready.json()["checks"].get("database")
            return database is not None and not database["ok"] and "Postgres is away" in database["detail"]

        await until(says_what_is_missing, START_SECONDS)
        assert (await client.get("/livez")).status_code == 200
        assert 'arqueduct_dependency_up{dependency="database"} 0.0' in (await client.get("/metrics")).text
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0


@pytest.mark.parametrize("has_types", [True, False], ids=["without tables", "new"])
async def test_a_database_that_was_not_migrated_ends_the_start(settings: Settings, has_types: bool) -> None:
    assert settings.database_url is not None
    if has_types:
        async with owning(settings) as owner:
            await owner.execute("DROP TABLE embedding_models CASCADE")
    else:
        await migrations.downgrade(settings.database_url.get_secret_value(), "base")
    with pytest.raises(SetupError, match="arqueduct migrate up"):
        async with asyncio.timeout(START_SECONDS), open_services(settings, embedder=HashingEmbedder()):
            pass


async def test_a_worker_that_cannot_admit_says_so_and_stays_ready(settings: Settings, launcher: Launcher) -> None:
    worker = await launcher.start(settings.model_copy(update={"lease": 30.0, "heartbeat": 5.0}))
    await worker.ready()

    async def admission(*, ok: bool) -> None:
        async def said() -> bool:
            ready = await worker.probe("/readyz")
            assert ready.json()["checks"]["database"]["ok"]
            check = ready.json()["checks"]["admission"]
            return check["ok"] is ok and (ok or "permission denied" in check["detail"]) and ready.status_code == 200

        await until(said, START_SECONDS)
        assert await worker.metric("arqueduct_admitting") == float(ok)

    await admission(ok=True)
    async with owning(settings) as owner:
        await owner.execute("REVOKE EXECUTE ON FUNCTION admit(integer, interval) FROM arqueduct_worker")
        await admission(ok=False)
        await owner.execute("GRANT EXECUTE ON FUNCTION admit(integer, interval) TO arqueduct_worker")
        await admission(ok=True)
