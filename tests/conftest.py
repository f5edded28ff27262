"""What all tests share: real servers, a fresh migrated database a test, and whom to be in it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import structlog
from pydantic import SecretStr

from arqueduct import embedding, identity, migrations
from arqueduct.bus import connect
from arqueduct.database import Database, Role
from arqueduct.embedding import EmbeddingModel
from arqueduct.identity import NewIdentity, Password
from arqueduct.keys import Keys
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from tests.servers import Servers, running_servers

TEMPLATE = "template_arqueduct"
UNLIMITED = dict.fromkeys(
    (
        *("requests_per_minute", "uploads_per_minute", "searches_per_minute", "expensive_per_hour"),
        *("strangers_per_minute", "sign_ins_per_address", "sign_ins_per_account"),
    ),
    1_000_000,
)
"""Tests ask faster than people. Those about limits set their own."""

# By default structlog draws each traceback with all its local variables: seconds on the event loop, secrets included.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Postgres and one Valkey for the session."""
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def models() -> list[EmbeddingModel]:
    """What the databases of tests know: the fake that ships, and the local model."""
    return [HashingEmbedder().model, embedding.model_of(Settings(embedder="local"))]


@pytest.fixture(scope="session")
async def template(servers: Servers, models: list[EmbeddingModel]) -> str:
    """A migrated database that others are copied from; the two roles may log in."""
    postgres = servers.postgres
    await _as_superuser(servers, f"CREATE DATABASE {TEMPLATE}")
    url = postgres.url(database=TEMPLATE)
    await migrations.upgrade(url)
    for model in models:
        await migrations.ensure_model(url, model)
    for role in Role:
        await _as_superuser(servers, f"ALTER ROLE {role} LOGIN PASSWORD '{postgres.password(role)}'")
    return TEMPLATE


@pytest.fixture
async def settings(servers: Servers, template: str, tmp_path: Path) -> AsyncIterator[Settings]:
    """Wired to a database and Redis names of its own; intervals shrunk so that nothing waits."""
    name = f"test_{uuid4().hex}"
    # Copying files takes 80 ms, copying through the write-ahead log three times as long.
    await _as_superuser(servers, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    postgres = servers.postgres
    yield Settings(
        data_dir=tmp_path / "data",
        database_url=SecretStr(postgres.url(database=name)),
        app_database_url=SecretStr(postgres.url(Role.APP, name)),
        worker_database_url=SecretStr(postgres.url(Role.WORKER, name)),
        redis_url=SecretStr(servers.valkey.url()),
        redis_prefix=name,
        embedder="local",
        lease=3,
        heartbeat=0.2,
        sweep=0.2,
        redispatch=0.5,
        progress_interval=0.05,
        parent_interval=0.05,
        shutdown_grace=5,
        **UNLIMITED,
    )
    await _as_superuser(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def passwords() -> Iterator[Password]:
    """Taken in turn, so that people of one test have different ones: hashing one takes longer than most tests do."""
    return cycle([Password.new() for _ in range(4)])


@pytest.fixture
def new_identity(settings: Settings, passwords: Iterator[Password]) -> Callable[[], Awaitable[NewIdentity]]:
    """Makes one more tenant with an owner and a key."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()

    async def make() -> NewIdentity:
        return await identity.create(url, tenant="test", email=f"{uuid4().hex}@example.org", password=next(passwords))

    return make


@pytest.fixture
async def me(new_identity: Callable[[], Awaitable[NewIdentity]]) -> NewIdentity:
    """The tenant that the test is about."""
    return await new_identity()


@pytest.fixture
async def app_database(settings: Settings) -> AsyncIterator[Database]:
    """As the API connects."""
    async for database in _database(settings.app_database_url, Role.APP):
        yield database


@pytest.fixture
async def worker_database(settings: Settings) -> AsyncIterator[Database]:
    """As a worker connects."""
    async for database in _database(settings.worker_database_url, Role.WORKER):
        yield database


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(prefix=settings.redis_prefix)


@pytest.fixture
async def redis(settings: Settings, keys: Keys) -> AsyncIterator[object]:
    assert settings.redis_url is not None
    client = connect(settings.redis_url.get_secret_value(), keys)
    yield client
    await client.aclose()


async def _database(url: SecretStr | None, role: Role) -> AsyncIterator[Database]:
    assert url is not None
    database = Database(url.get_secret_value(), role, pool_size=5)
    yield database
    await database.aclose()


async def _as_superuser(servers: Servers, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
