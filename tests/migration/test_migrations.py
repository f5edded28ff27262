"""The schema: every revision up and down, and equal to the models."""

import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

from arqueduct import identity, migrations, models
from arqueduct.database import Database, Role, owner_engine
from arqueduct.embedding import EmbeddingModel
from arqueduct.errors import SetupError
from tests.servers import Servers

assert models


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[str]:
    """The URL of a database without a table."""
    name = f"empty_{uuid4().hex}"
    connection = await asyncpg.connect(servers.postgres.url())
    await connection.execute(f"CREATE DATABASE {name}")
    yield servers.postgres.url(database=name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_an_empty_database_is_behind_and_upgraded_it_is_current(empty: str) -> None:
    assert not (await migrations.status(empty)).is_current
    await migrations.upgrade(empty)
    assert (await migrations.status(empty)).is_current


async def test_every_revision_can_be_taken_back_and_done_again(empty: str) -> None:
    await migrations.upgrade(empty)
    await migrations.downgrade(empty, "base")
    assert await _tables(empty) == {"alembic_version"}
    await migrations.upgrade(empty)


async def test_the_models_are_what_the_revisions_make(empty: str) -> None:
    await migrations.upgrade(empty)
    assert await _differences(empty) == []


async def test_an_embedding_model_gets_its_index_once(empty: str) -> None:
    await migrations.upgrade(empty)
    model = EmbeddingModel(name="test/small", dimensions=3)
    first = await migrations.ensure_model(empty, model)
    assert await migrations.ensure_model(empty, model) == first
    with pytest.raises(SetupError, match="ARQUEDUCT_EMBEDDING_DIMENSIONS=3"):
        await migrations.ensure_model(empty, EmbeddingModel(name="test/small", dimensions=4))
    assert await _differences(empty) == []


async def test_vectors_that_were_in_the_index_stay_there(empty: str) -> None:
    await migrations.upgrade(empty, "0016")
    me = await identity.create(empty, tenant="vectors", email="vectors@example.org")
    connection = await asyncpg.connect(empty)
    store = (
        "INSERT INTO embeddings (tenant_id, model_id, text_hash, vector, bought_for) "
        "SELECT $1, id, sha256($2), '[1,2,3]', $1 FROM embedding_models"
    )
    await connection.execute("INSERT INTO embedding_models (name, dimensions) VALUES ('test/small', 3)")
    await connection.execute(
        "CREATE INDEX embeddings_hnsw_1 ON embeddings USING hnsw ((vector::halfvec(3)) halfvec_cosine_ops) "
        "WITH (m = 16, ef_construction = 64) WHERE model_id = 1"
    )
    await connection.execute(store, me.tenant_id, b"old")
    before = await _index_of(connection)
    await migrations.upgrade(empty)
    assert await _index_of(connection) == before.replace("(model_id = 1)", "((model_id = 1) AND indexed)")
    await migrations.ensure_model(empty, EmbeddingModel(name="test/small", dimensions=3))
    await connection.execute(store, me.tenant_id, b"new")
    rows = await connection.fetch("SELECT indexed, text_hash = sha256('old') AS is_old FROM embeddings")
    assert {(row["indexed"], row["is_old"]) for row in rows} == {(True, True), (False, False)}
    await migrations.downgrade(empty, "0016")
    assert await _index_of(connection) == before
    assert await connection.fetchval("SELECT count(*) FROM embeddings") == 2
    await connection.close()


async def test_a_new_models_index_is_as_the_revision_makes_it(empty: str) -> None:
    await migrations.upgrade(empty)
    await migrations.ensure_model(empty, EmbeddingModel(name="test/small", dimensions=3))
    connection = await asyncpg.connect(empty)
    assert "WHERE ((model_id = 1) AND indexed)" in await _index_of(connection)
    await connection.close()


async def test_every_table_of_a_tenant_has_row_level_security(empty: str) -> None:
    await migrations.upgrade(empty)
    connection = await asyncpg.connect(empty)
    rows = await connection.fetch(
        "SELECT c.relname, c.relrowsecurity FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind = 'r' AND a.attname = 'tenant_id' AND c.relnamespace = 'public'::regnamespace"
    )
    await connection.close()
    assert len(rows) >= 9
    assert [row["relname"] for row in rows if not row["relrowsecurity"]] == []


async def test_neither_serving_role_can_get_round_it(empty: str) -> None:
    await migrations.upgrade(empty)
    connection = await asyncpg.connect(empty)
    rows = await connection.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE 'arqueduct\\_%'"
    )
    owned = await connection.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname LIKE 'arqueduct\\_%'"
    )
    await connection.close()
    assert {tuple(row.values()) for row in rows} == {
        ("arqueduct_app", False, False, False),
        ("arqueduct_worker", False, False, False),
    }
    assert owned == 0


@pytest.mark.parametrize("role", list(Role))
async def test_neither_serving_role_can_put_a_table_before_another(empty: str, role: Role) -> None:
    """A temporary table hides the one of its name. The template of other tests passes no such privilege on."""
    await migrations.upgrade(empty)
    connection = await asyncpg.connect(empty)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role}; CREATE TEMP TABLE audit_log (code text)")
    await migrations.downgrade(empty, "0003")
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {role}; CREATE TEMP TABLE audit_log (code text)")
    await connection.close()


async def test_a_managed_server_where_only_an_administrator_makes_roles_and_extensions(
    empty: str, servers: Servers
) -> None:
    name = empty.rsplit("/", 1)[1]
    admin = await asyncpg.connect(empty)
    await admin.execute(f"CREATE ROLE plain_{name} LOGIN PASSWORD 'only for this test' NOCREATEROLE")
    url = f"postgresql://plain_{name}:only%20for%20this%20test@127.0.0.1:{servers.postgres.port}/{name}"
    with pytest.raises(SetupError, match="CREATE ROLE arqueduct_app"):
        await migrations.upgrade(url)
    for statement in migrations.ADMIN_STATEMENTS.format(user=f"plain_{name}").splitlines():
        with contextlib.suppress(asyncpg.DuplicateObjectError):
            await admin.execute(statement)
    await migrations.upgrade(url)
    new = await identity.create(url, tenant="managed", email="a@example.org")
    database = Database(url, Role.APP, pool_size=2)
    async with database.transaction(new.tenant_id) as transaction:
        assert await transaction.driver.fetchval("SELECT name FROM tenants") == "managed"
    async with database.transaction() as transaction:
        assert await transaction.driver.fetchval("SELECT count(*) FROM tenants") == 0
        may = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
        assert await transaction.driver.fetchval(may) is False
    await database.aclose()
    await admin.execute(f"DROP OWNED BY plain_{name}; DROP ROLE plain_{name}")
    await admin.close()


async def _index_of(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    return str(await connection.fetchval("SELECT pg_get_indexdef('embeddings_hnsw_1'::regclass)"))


async def _tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def _differences(url: str) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        options = {
            "compare_server_default": True,
            "include_object": lambda _object, name, kind, *_: not migrations.is_made_per_model(kind, name),
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata))

    engine = owner_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def test_documents_without_a_job_get_one_when_sets_are_taken_back(empty: str) -> None:
    await migrations.upgrade(empty)
    me = await identity.create(empty, tenant="sets", email="sets@example.org")
    connection = await asyncpg.connect(empty)
    await connection.execute(
        "WITH b AS ("
        "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES (gen_random_uuid(), $1, 'x', 1) RETURNING id) "
        "INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language) "
        "SELECT gen_random_uuid(), $1, $2, id, 'a.txt', 'text/plain', 1, 'x', 'english' FROM b",
        me.tenant_id,
        me.user_id,
    )
    await migrations.downgrade(empty, "0008")
    found = await connection.fetch("SELECT j.state FROM documents d JOIN jobs j ON j.id = d.job_id")
    assert [row["state"] for row in found] == ["cancelled"]
    await migrations.upgrade(empty)
    await connection.close()


async def test_data_life_is_not_taken_back_while_an_original_is_not_where_it_came(empty: str) -> None:
    await migrations.upgrade(empty)
    me = await identity.create(empty, tenant="removed", email="removed@example.org")
    connection = await asyncpg.connect(empty)
    await connection.execute(
        "INSERT INTO blobs (id, tenant_id, sha256, size, place) VALUES (gen_random_uuid(), $1, 'x', 1, 'removed')",
        me.tenant_id,
    )
    with pytest.raises(asyncpg.RaiseError, match="older release does not look"):
        await migrations.downgrade(empty, "0011")
    assert (await migrations.status(empty)).is_current
    await connection.execute("DELETE FROM blobs")
    await migrations.downgrade(empty, "0011")
    await connection.close()


@pytest.mark.parametrize("mark", ["archived_at", "original_removed_at"])
async def test_data_life_is_not_taken_back_while_a_document_is_away(empty: str, mark: str) -> None:
    """Also where other documents keep its bytes hot."""
    await migrations.upgrade(empty)
    me = await identity.create(empty, tenant="away", email="away@example.org")
    connection = await asyncpg.connect(empty)
    await connection.execute(
        "WITH b AS ("
        "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES (gen_random_uuid(), $1, 'x', 1) RETURNING id) "
        "INSERT INTO documents (id, tenant_id, user_id, blob_id, name, content_type, size, sha256, language, "
        f"{mark}) SELECT gen_random_uuid(), $1, $2, id, 'a.txt', 'text/plain', 1, 'x', 'english', now() FROM b",
        *(me.tenant_id, me.user_id),
    )
    with pytest.raises(asyncpg.RaiseError, match="archived, or without their original"):
        await migrations.downgrade(empty, "0011")
    assert (await migrations.status(empty)).is_current
    await connection.execute(f"UPDATE documents SET {mark} = NULL")
    await migrations.downgrade(empty, "0011")
    await connection.close()


async def test_a_parent_that_is_under_way_is_told_of_its_end_when_parents_are_taken_back(empty: str) -> None:
    await migrations.upgrade(empty)
    me = await identity.create(empty, tenant="parents", email="parents@example.org")
    connection = await asyncpg.connect(empty)
    await connection.execute(
        "INSERT INTO jobs (id, tenant_id, user_id, kind, state, stage, seq, children, run_after) "
        "VALUES (gen_random_uuid(), $1, $2, 'batch.run', 'running', 'running', 7, 2, 'infinity')",
        me.tenant_id,
        me.user_id,
    )
    await migrations.downgrade(empty, "0006")
    told = await connection.fetch(
        "SELECT e.seq, e.type, e.state FROM jobs j JOIN job_events e ON e.job_id = j.id AND e.seq = j.seq"
    )
    assert [tuple(line) for line in told] == [(8, "job_cancelled", "cancelled")]
    await connection.close()
