"""Row-level security, asked directly: what a handler forgot, the database still refuses."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from arqueduct import identity
from arqueduct.database import Database
from arqueduct.errors import NotAuthenticated
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.models import Blob
from arqueduct.repositories import jobs
from arqueduct.settings import Settings
from tests.integration.worker import insert

TABLES = ["tenants", "users", "memberships", "api_keys", "blobs", "documents", "jobs", "job_events", "job_attempts"]


@pytest.fixture
async def other(new_identity: Callable[[], Awaitable[NewIdentity]]) -> NewIdentity:
    return await new_identity()


@pytest.fixture(autouse=True)
async def documents_of_both(settings: Settings, worker_database: Database, me: NewIdentity, other: NewIdentity) -> None:
    for who in (me, other):
        blob = Blob(id=new_id(), tenant_id=who.tenant_id, sha256="00", size=1)
        job = await insert(settings, who, blob, format=Format.TEXT, name="a file")
        async with worker_database.transaction() as transaction:
            await jobs.claim(transaction.driver, [(job.id, 0)], "a worker", settings.lease_time)


@pytest.mark.parametrize("table", TABLES)
async def test_a_request_sees_its_own_tenant_only(app_database: Database, me: NewIdentity, table: str) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        assert await transaction.driver.fetchval(f"SELECT count(*) FROM {table}") == 1


@pytest.mark.parametrize("table", TABLES)
async def test_without_a_tenant_there_is_nothing(app_database: Database, table: str) -> None:
    async with app_database.transaction() as transaction:
        assert await transaction.driver.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_request_cannot_write_into_another_tenant(
    app_database: Database, me: NewIdentity, other: NewIdentity
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.transaction(me.tenant_id) as transaction:
            await transaction.driver.execute(
                "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, 'x', 1)", new_id(), other.tenant_id
            )
    async with app_database.transaction(me.tenant_id) as transaction:
        touched = await transaction.driver.execute(
            "UPDATE documents SET name = 'stolen' WHERE tenant_id = $1", other.tenant_id
        )
    assert touched == "UPDATE 0"


@pytest.mark.parametrize("statement", ["SET ROLE arqueduct_worker", "SET ROLE arqueduct", "TRUNCATE jobs"])
async def test_a_request_cannot_become_somebody_else(app_database: Database, me: NewIdentity, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.transaction(me.tenant_id) as transaction:
            await transaction.driver.execute(statement)


async def test_a_worker_sees_all_jobs_but_documents_of_one_tenant(worker_database: Database, me: NewIdentity) -> None:
    async with worker_database.transaction(me.tenant_id) as transaction:
        assert await transaction.driver.fetchval("SELECT count(*) FROM jobs") == 2
        assert await transaction.driver.fetchval("SELECT count(*) FROM documents") == 1
    async with worker_database.transaction() as transaction:
        assert await transaction.driver.fetchval("SELECT count(*) FROM documents") == 0


async def test_the_owner_of_the_tables_serves_under_row_level_security_too(settings: Settings, me: NewIdentity) -> None:
    from arqueduct.database import Role

    assert settings.database_url is not None
    database = Database(settings.database_url.get_secret_value(), Role.APP, pool_size=2)
    async with database.transaction(me.tenant_id) as transaction:
        assert await transaction.driver.fetchval("SELECT count(*) FROM documents") == 1
    await database.aclose()


async def test_a_key_leads_to_its_tenant(app_database: Database, me: NewIdentity) -> None:
    async with app_database.transaction() as transaction:
        found = await identity.authenticate(transaction, me.api_key)
    assert (found.tenant_id, found.user_id, found.role) == (me.tenant_id, me.user_id, "owner")


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now() - interval '1 second'"])
async def test_a_key_that_is_over_leads_nowhere(
    app_database: Database, settings: Settings, me: NewIdentity, change: str
) -> None:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(f"UPDATE api_keys SET {change} WHERE tenant_id = $1", me.tenant_id)
    await connection.close()
    with pytest.raises(NotAuthenticated):
        async with app_database.transaction() as transaction:
            await identity.authenticate(transaction, me.api_key)
