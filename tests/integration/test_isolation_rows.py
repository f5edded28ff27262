"""Below the handlers: what Postgres itself lets the roles that serve see and touch of another tenant.

The tables, columns and functions are read from the catalogue, so that a new one is tried as soon as it is there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from arqueduct.database import Database, Role
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, serving
from tests.integration.two_tenants import Table, above, everything_of, furnish, settle, tables_of_tenants
from tests.integration.worker import TestWorker

SHARED = {
    "alembic_version": "which revision the schema has",
    "chores": "what workers do now and then, one at a time",
    "installations": "what workers have installed",
    "embedding_models": "names and lengths of vectors",
    "queue_rules": "limits that who runs the installation sets; read by workers and by functions",
    "stage_rates": "how long stages take, whosever documents they were",
    "vector_head": "how many vectors are not in the index yet, of all tenants together",
    "workers": "signs of life",
}
"""Tables that belong to no tenant, and what they hold. Every other one has row-level security."""

ALL_TENANTS = {
    "child_deltas": "workers fold what was noted of children of all tenants",
    "child_errors": "workers fold what was noted of children of all tenants",
    "deletions": "workers finish deletions of all tenants",
    "job_attempts": "workers note their attempts",
    "job_events": "workers write the history of the jobs they run",
    "jobs": "workers take jobs of all tenants",
    "kept_answers": "workers delete old ones",
    "parents": "workers fold what was noted of children of all tenants",
    "sessions": "workers delete old ones",
}
"""Tables where a worker is above tenants, and why (docs/decisions/0005)."""

BEFORE_A_TENANT_IS_KNOWN = {
    "accept_invitation": "a guest is in no tenant yet",
    "authenticate": "a key says which tenant it is for",
    "credentials_of": "sign-in",
    "credentials_of_user": "changing one's password",
    "hold_credentials_of": "what was proved with a password must still be so when it is used",
    "end_sessions_of": "a person's sessions in every tenant",
    "invitations_for": "a guest is in no tenant yet",
    "link_external": "sign-in with a provider",
    "open_invitation": "a guest is in no tenant yet",
    "redeem_reset": "a token says whose password it is for",
    "renew_session": "a token says which session it renews",
    "session_identity": "a session says which tenant it is for",
    "set_password": "a password is a person's",
    "tenants_of": "a person chooses among his tenants",
    "user_of_external": "sign-in with a provider",
}
"""Functions of the app that run above row-level security and take who is meant as an argument, and why."""
OVER_ALL_TENANTS = {
    "admit": "the order of the queue is one for all tenants; it answers ids to the process, not to a request",
    "queue_health": "numbers for probes and Prometheus",
    "unadmit": "takes back what `admit` gave out",
}
OF_THE_CURRENT_TENANT = {
    *("create_service", "offer_reset", "position_in_line", "queue_of_tenant", "queue_pace", "search_text")
}
"""Functions that run above row-level security and apply `current_tenant()` themselves."""

REFUSED = asyncpg.InsufficientPrivilegeError


@dataclass(frozen=True, kw_only=True)
class World:
    """`theirs` is what `me` must not see; `owner` sees it all."""

    owner: Any
    theirs: NewIdentity
    me: NewIdentity
    tables: list[Table]


@pytest.fixture
async def world(
    settings: Settings,
    me: NewIdentity,
    api_worker: TestWorker,
    new_identity: Callable[[], Awaitable[NewIdentity]],
) -> AsyncIterator[World]:
    """The API runs while the two settle and no longer, so that nobody but the test touches a row."""
    theirs = await new_identity()
    words = {"kestrel": theirs, "sparrow": me}
    async with serving(settings) as app:
        for word, who in words.items():
            async with client_of(app, who) as client:
                await settle(client, api_worker, word)
    async with above(settings) as owner:
        for word, who in words.items():
            await furnish(owner, who, word)
        yield World(owner=owner, theirs=theirs, me=me, tables=await tables_of_tenants(owner))


async def test_every_table_is_a_tenants_or_shared_on_purpose(world: World) -> None:
    rows = await world.owner.fetch(
        "SELECT relname, relrowsecurity FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    guarded = {row["relname"] for row in rows if row["relrowsecurity"]}
    open_to_all = {row["relname"] for row in rows} - guarded
    assert open_to_all == set(SHARED), "enable row-level security, or say in SHARED why everybody may see the table"
    assert {table.name for table in world.tables} <= guarded


async def test_every_view_is_read_as_who_asks(world: World) -> None:
    rows = await world.owner.fetch(
        "SELECT relname, coalesce(reloptions::text, '') AS options FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')"
        "   AND relname NOT IN (SELECT objid::regclass::text FROM pg_depend WHERE deptype = 'e')"
    )
    assert [row["relname"] for row in rows if "security_invoker" not in row["options"]] == []


@pytest.mark.parametrize("role", list(Role))
async def test_nobody_who_serves_stands_above_row_level_security(world: World, role: Role) -> None:
    above_rows = await world.owner.fetch(
        "SELECT r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication FROM pg_roles r"
        " WHERE pg_has_role($1::name, r.oid, 'MEMBER')"
        "   AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication)",
        role.value,
    )
    owned = await world.owner.fetch(
        "SELECT relname FROM pg_class WHERE pg_has_role($1::name, relowner, 'MEMBER')"
        " UNION ALL SELECT proname FROM pg_proc WHERE pg_has_role($1::name, proowner, 'MEMBER')"
        " UNION ALL SELECT nspname FROM pg_namespace WHERE has_schema_privilege($1::name, oid, 'CREATE')"
        "   AND nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast_temp%'",
        role.value,
    )
    assert (above_rows, owned) == ([], [])


async def test_functions_above_row_level_security_are_known_and_look_things_up_in_one_place(world: World) -> None:
    rows = await world.owner.fetch(
        "SELECT proname, coalesce(proconfig::text, '') AS config,"
        "   has_function_privilege('public', oid, 'EXECUTE') AS open,"
        "   has_function_privilege('arqueduct_app', oid, 'EXECUTE') AS of_app"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert [row["proname"] for row in rows if "search_path=public, pg_temp" not in row["config"]] == []
    assert [row["proname"] for row in rows if row["open"]] == []
    known = OF_THE_CURRENT_TENANT | set(BEFORE_A_TENANT_IS_KNOWN) | set(OVER_ALL_TENANTS)
    assert {row["proname"] for row in rows if row["of_app"]} == known, "say in this file why the app may call it"


async def test_every_table_has_rows_of_both(world: World) -> None:
    for who in (world.theirs, world.me):
        assert [name for name, rows in (await everything_of(world.owner, who, world.tables)).items() if not rows] == []


def roles_and_their_tables(world: World) -> list[tuple[Role, Table]]:
    return [
        (role, table) for role in Role for table in world.tables if role is Role.APP or table.name not in ALL_TENANTS
    ]


async def test_no_select_finds_a_row_of_another_tenant(
    world: World, app_database: Database, worker_database: Database, subtests: pytest.Subtests
) -> None:
    for role, table in roles_and_their_tables(world):
        database = app_database if role is Role.APP else worker_database
        for tenant in (world.me.tenant_id, None):
            columns = await _may(world, role, table, "SELECT")
            with subtests.test(role=role.value, table=table.name, tenant=bool(tenant)):
                async with database.transaction(tenant) as transaction:
                    rows = await transaction.driver.fetch(f"SELECT {columns} FROM {table.name}") if columns else []
                said = str([dict(row) for row in rows])
                assert str(world.theirs.tenant_id) not in said
                assert "kestrel" not in said
                if tenant is None:
                    assert rows == []


async def test_no_update_and_no_delete_touches_a_row_of_another_tenant(
    world: World, app_database: Database, worker_database: Database, subtests: pytest.Subtests
) -> None:
    before = await _versions(world)
    for role, table in roles_and_their_tables(world):
        database = app_database if role is Role.APP else worker_database
        columns = (await _may(world, role, table, "UPDATE")).split(", ")
        assignments = ", ".join(f"{name} = {name}" for name in columns if name)
        statements = [f"DELETE FROM {table.name}", f"SELECT FROM {table.name} FOR UPDATE"]
        if assignments:
            statements.append(f"UPDATE {table.name} SET {assignments}")
        with subtests.test(role=role.value, table=table.name):
            for statement in statements:
                for tenant in (world.me.tenant_id, None):
                    await _try(database, tenant, statement)
            assert await _versions(world) == before


async def test_no_row_is_put_into_another_tenant(
    world: World, app_database: Database, worker_database: Database, subtests: pytest.Subtests
) -> None:
    """Neither a new one nor one's own, moved."""
    for role, table in roles_and_their_tables(world):
        if "tenant_id" not in {column.name for column in table.columns}:
            continue
        database = app_database if role is Role.APP else worker_database
        columns = (await _may(world, role, table, "INSERT")).split(", ")
        row = await world.owner.fetchrow(
            f"SELECT * FROM {table.name} WHERE {table.of_whom} LIMIT 1", world.theirs.tenant_id, world.theirs.user_id
        )
        given = {name: row[name] for name in columns if name}
        with subtests.test(role=role.value, table=table.name):
            if given:
                places = ", ".join(f"${number}" for number in range(1, len(given) + 1))
                with pytest.raises(REFUSED):
                    async with database.transaction(world.me.tenant_id) as transaction:
                        await transaction.driver.execute(
                            f"INSERT INTO {table.name} ({', '.join(given)}) VALUES ({places})", *given.values()
                        )
            if "tenant_id" in (await _may(world, role, table, "UPDATE")).split(", "):
                with pytest.raises(REFUSED):
                    async with database.transaction(world.me.tenant_id) as transaction:
                        await transaction.driver.execute(
                            f"UPDATE {table.name} SET tenant_id = $1", world.theirs.tenant_id
                        )


async def test_nobody_dates_a_line_of_the_audit_log_himself(world: World, app_database: Database) -> None:
    """That no role can make a table that stands before it is tried in tests/migration: copies of a database do not
    have the rights of the one they were made from.
    """
    dated = "INSERT INTO audit_log (id, tenant_id, action, outcome, at) VALUES (gen_random_uuid(), $1, 'x', 'done', $2)"
    forged = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(REFUSED):
        async with app_database.transaction(world.me.tenant_id) as transaction:
            await transaction.driver.execute(dated, world.me.tenant_id, forged)
    assert await world.owner.fetchval("SELECT count(*) FROM audit_log WHERE at = $1", forged) == 0


async def test_functions_for_a_tenant_answer_for_the_current_one_alone(world: World, app_database: Database) -> None:
    theirs = await world.owner.fetchval("SELECT id FROM jobs WHERE tenant_id = $1 LIMIT 1", world.theirs.tenant_id)
    document = await world.owner.fetchval("SELECT id FROM documents WHERE tenant_id = $1", world.theirs.tenant_id)
    async with app_database.transaction(world.me.tenant_id) as transaction:
        ask = transaction.driver.fetchval
        assert await ask("SELECT position_in_line($1)", theirs) is None
        assert await ask("SELECT count(*) FROM search_text('english', 'kestrel', 10, NULL)") == 0
        assert await ask("SELECT count(*) FROM search_text('english', 'hovers', 10, $1)", [document]) == 0
        assert await ask("SELECT count(*) FROM search_text('english', 'sparrow', 10, NULL)") == 1
        assert await ask("SELECT offer_reset($1, 'x', now(), $1)", world.theirs.user_id) is False
        assert await ask("SELECT count(*) FROM kinds_in_line($1)", world.theirs.tenant_id) == 0


async def _may(world: World, role: Role, table: Table, what: str) -> str:
    """The columns that the role may do this to, joined by commas; of a DELETE there is nothing to choose."""
    rows = await world.owner.fetch(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $2 AND is_generated = 'NEVER' AND is_identity = 'NO'"
        "   AND has_column_privilege($1::name, $2::text, column_name::text, $3)",
        role.value,
        table.name,
        what,
    )
    return ", ".join(row["column_name"] for row in rows)


async def _versions(world: World) -> dict[str, list[Any]]:
    """Who wrote or locked each row of theirs: an UPDATE that changes nothing shows too."""
    found = {}
    for table in world.tables:
        rows = await world.owner.fetch(
            f"SELECT ctid::text, xmin::text, xmax::text FROM {table.name} WHERE {table.of_whom} ORDER BY 1",
            world.theirs.tenant_id,
            world.theirs.user_id,
        )
        found[table.name] = [tuple(row) for row in rows]
    return found


async def _try(database: Database, tenant: Any, statement: str) -> None:
    """Refused is as good as nothing found."""
    with suppress(REFUSED, asyncpg.ForeignKeyViolationError):
        async with database.transaction(tenant) as transaction:
            await transaction.driver.execute(statement)
