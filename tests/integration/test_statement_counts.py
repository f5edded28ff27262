"""What requests ask of Postgres, counted: whoever adds a statement to one of these raises a number here."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, services_of, serving, upload
from tests.integration.wire import Wire, wired
from tests.servers import Servers


@pytest.fixture
async def wire(servers: Servers) -> AsyncIterator[Wire]:
    async with wired(servers.postgres.port) as opened:
        yield opened


@pytest.fixture
async def api(settings: Settings, wire: Wire, me: NewIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody admits jobs meanwhile, so that only requests ask anything."""
    on_wire = settings.model_copy(update={"app_database_url": SecretStr(wire.url(settings.app_database_url))})
    async with serving(on_wire) as app, client_of(app, me) as client:
        await services_of(app).admitter.stop()
        yield client


async def test_a_read_of_a_job(api: httpx.AsyncClient, wire: Wire) -> None:
    path = f"/api/v1/jobs/{(await upload(api))['job']['id']}"
    await api.get(path)  # prepares the statements
    with wire.counting() as asked:
        await api.get(path)
    assert asked.statements <= 10, "six of them begin and end two transactions: who asks, and what is asked"
    assert asked.round_trips <= 8


async def test_the_creation_of_a_job(api: httpx.AsyncClient, wire: Wire) -> None:
    await upload(api, b"It prepares the statements.")
    with wire.counting() as asked:
        await upload(api, b"It is counted.")
    assert asked.statements <= 19
    assert asked.round_trips <= 17
