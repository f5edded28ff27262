"""What `doctor` asks of real servers, and what it says when they are not as they should be."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from arqueduct import migrations
from arqueduct.cli import check_servers as questions
from arqueduct.cli.checkup import Verdict, ask
from arqueduct.errors import DependencyUnavailable
from arqueduct.settings import Settings
from tests.servers import Servers

EMPTY = "checks_empty"
STRANGER = "checks_stranger"


@pytest.fixture
def url(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value()


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[str]:
    """A database without a schema."""
    await _run(servers, f"CREATE DATABASE {EMPTY}")
    yield servers.postgres.url(database=EMPTY)
    await _run(servers, f"DROP DATABASE {EMPTY} WITH (FORCE)")


@pytest.fixture
async def stranger(servers: Servers, settings: Settings, url: str) -> AsyncIterator[str]:
    """A user who may log in, and is a member of nothing."""
    await _run(servers, f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'word'")
    yield url.replace(url.partition("://")[2].partition("@")[0], f"{STRANGER}:word")
    await _run(servers, f"DROP ROLE {STRANGER}")


async def test_a_migrated_database_is_in_order(url: str) -> None:
    for question in (questions.check_postgres, questions.check_vector, questions.check_revision, questions.check_roles):
        assert (await question(url)).verdict is Verdict.OK


async def test_an_empty_database_is_told_to_migrate(empty: str) -> None:
    vector, revision = await questions.check_vector(empty), await questions.check_revision(empty)
    assert (vector.verdict, revision.verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert "CREATE EXTENSION vector" in vector.advice
    assert revision.advice == "Run `arqueduct migrate up`."
    assert migrations.head() in revision.detail


async def test_a_user_who_may_not_serve_gets_the_statement(stranger: str) -> None:
    found = await questions.check_roles(stranger)
    assert found.verdict is Verdict.FAILED
    assert f'GRANT arqueduct_app, arqueduct_worker TO "{STRANGER}";' in found.advice


async def test_vectors_outside_of_the_index_are_told(url: str) -> None:
    assert (await questions.check_vectors(url)).detail == "0 vectors are not in it yet"
    owner = await asyncpg.connect(url)
    await owner.execute("UPDATE vector_head SET vectors = 20000, is_full = true")
    await owner.close()
    found = await questions.check_vectors(url)
    assert (found.verdict, found.detail) == (
        Verdict.WARNING,
        "20,000 vectors are not in it yet, and new ones go into it at once",
    )


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"is_there": False}, "CREATE ROLE arqueduct_app NOLOGIN"),
        ({"is_above_rows": True}, "ALTER ROLE arqueduct_app NOSUPERUSER NOBYPASSRLS;"),
    ],
)
def test_roles_that_break_tenancy_are_failures(row: dict[str, bool], advice: str) -> None:
    usual = {"name": "arqueduct_app", "is_there": True, "is_above_rows": False, "can_be_taken": True}
    found = questions._judged("owner", [usual | row])  # type: ignore[list-item]  # a record reads like a dict
    assert found.verdict is Verdict.FAILED
    assert advice in found.advice


async def test_a_server_that_is_away_is_an_answer_and_keeps_its_password() -> None:
    with pytest.raises(DependencyUnavailable):
        await questions.check_postgres("postgresql://me:hidden-word@127.0.0.1:1/db")
    check = await ask("Postgres", lambda: questions.check_postgres("postgresql://me:hidden-word@127.0.0.1:1/db"))
    assert check.verdict is Verdict.FAILED
    assert "hidden-word" not in check.detail


async def test_redis_must_not_drop_what_it_was_given(settings: Settings, redis: object) -> None:
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value()
    assert (await questions.check_redis(url)).verdict is Verdict.OK
    await redis.config_set("maxmemory-policy", "allkeys-lru")  # type: ignore[attr-defined]  # a client, as fixtures say it
    try:
        found = await questions.check_redis(url)
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")  # type: ignore[attr-defined]  # the same
    assert (found.verdict, "noeviction" in found.advice) == (Verdict.WARNING, True)
    assert (await questions.check_redis("redis://127.0.0.1:1/0")).verdict is Verdict.FAILED


async def test_an_api_that_does_not_answer_is_a_failure() -> None:
    assert (await questions.check_api(None)).verdict is Verdict.SKIPPED
    assert (await questions.check_api("http://127.0.0.1:1")).verdict is Verdict.FAILED


async def _run(servers: Servers, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
