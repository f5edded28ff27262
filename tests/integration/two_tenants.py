"""Two tenants with one of everything that a tenant can have, and what of the one must never be seen by the other."""

import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from pgvector.asyncpg import register_vector

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import ingest, upload
from tests.integration.worker import TestWorker

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

GIVEN: dict[str, dict[str, Any]] = {
    "audit_log": {"outcome": "done"},
    "invitations": {"role": "viewer"},
    "retention_policies": {"target": "jobs"},
    "sessions": {"method": "password"},
    "stage_run_sums": {"span": "day"},
    "stage_runs": {"outcome": "ok"},
    "upkeep_runs": {"kind": "retention.apply"},
    "webhook_endpoints": {"url": "http://127.0.0.1:65500/", "events": ["*"]},
}
"""Columns of a made-up row that cannot have just any value of their type."""

KEYS_OF_TENANTS = {"tenants": "id", "users": "id"}
"""Tables whose rows belong to a tenant without a column that says so, with the column that does."""


@dataclass(frozen=True, kw_only=True)
class Column:
    name: str
    type: str
    is_needed: bool
    """NOT NULL without a default."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One that has rows of tenants or of their people."""

    name: str
    columns: tuple[Column, ...]
    references: Mapping[str, str]
    """Tables by the column that points to them."""

    @property
    def of_whom(self) -> str:
        """The condition on a row: `$1` is the tenant, `$2` its user."""
        names = {column.name for column in self.columns}
        if self.name == "tenants":
            return "id = $1 AND $2::uuid IS NOT NULL"
        if self.name == "users":
            return "id = $2 AND $1::uuid IS NOT NULL"
        if "tenant_id" in names:
            return "tenant_id = $1 AND $2::uuid IS NOT NULL"
        return "user_id = $2 AND $1::uuid IS NOT NULL"


@asynccontextmanager
async def above(settings: Settings) -> AsyncIterator[Any]:
    """A connection as the owner of the tables."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await register_vector(connection)
    try:
        yield connection
    finally:
        await connection.close()


async def tables_of_tenants(owner: Any) -> list[Table]:
    """All of them, each after those that it points to."""
    columns = await owner.fetch(
        "SELECT c.table_name, c.column_name, c.udt_name, c.is_nullable = 'NO' AND c.column_default IS NULL AS is_needed"
        " FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        "   AND c.is_generated = 'NEVER' AND c.is_identity = 'NO' ORDER BY c.ordinal_position"
    )
    pointing = await owner.fetch(
        "SELECT conrelid::regclass::text AS table_name, a.attname AS column_name, confrelid::regclass::text AS target"
        " FROM pg_constraint JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]"
        " WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND cardinality(conkey) = 1"
    )
    found: dict[str, list[Column]] = defaultdict(list)
    for row in columns:
        found[row["table_name"]].append(
            Column(name=row["column_name"], type=row["udt_name"], is_needed=row["is_needed"])
        )
    tables = [
        Table(
            name=name,
            columns=tuple(of_it),
            references={row["column_name"]: row["target"] for row in pointing if row["table_name"] == name},
        )
        for name, of_it in found.items()
        if {"tenant_id", "user_id"} & {column.name for column in of_it} or name in KEYS_OF_TENANTS
    ]
    return _in_order(tables)


async def settle(api: httpx.AsyncClient, worker: TestWorker, word: str) -> None:
    """A document that was processed, and one that waits; a project of a set, and a batch. `word` is in all that has
    words."""
    done = await ingest(api, worker, f"# The {word}\n\nA {word} hovers over the wall.\n".encode(), f"{word}.md")
    await upload(api, f"Waiting for the {word}.".encode(), f"{word} waits.txt")
    form = [("name", (None, f"{word} set")), ("files", (f"{word} set.md", f"# A {word} in a set\n".encode()))]
    file_set = (await api.post("/api/v1/file-sets", files=form)).json()
    for path, body in (
        ("projects", {"name": f"{word} project", "file_set_id": file_set["id"]}),
        ("batches", {"name": f"{word} batch", "document_ids": [done["id"]]}),
    ):
        answer = await api.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 202, answer.text
    await api.post(f"/api/v1/file-sets/{file_set['id']}/documents", json={"document_ids": [done["id"]]})


async def furnish(owner: Any, who: NewIdentity, word: str) -> None:
    """A row in every table that has none of this tenant yet."""
    await owner.execute("UPDATE tenants SET name = $2 WHERE id = $1", who.tenant_id, f"{word} and sons")
    await owner.execute("UPDATE users SET name = $2 WHERE id = $1", who.user_id, f"Ms {word}")
    for table in await tables_of_tenants(owner):
        there = await owner.fetchval(
            f"SELECT count(*) FROM {table.name} WHERE {table.of_whom}", who.tenant_id, who.user_id
        )
        if not there or table.name == "api_keys":  # the first key is the one that the tests use
            await _make_up(owner, table, who, word)


async def everything_of(owner: Any, who: NewIdentity, tables: Sequence[Table]) -> dict[str, list[str]]:
    """Each row as JSON, by table."""
    return {
        table.name: [
            row["row"]
            for row in await owner.fetch(
                f"SELECT to_jsonb(t)::text AS row FROM {table.name} t WHERE {table.of_whom} ORDER BY 1",
                who.tenant_id,
                who.user_id,
            )
        ]
        for table in tables
    }


def ids_in(rows: Mapping[str, list[str]]) -> set[str]:
    """Every id in these rows."""
    return {found for of_table in rows.values() for row in of_table for found in ID.findall(row)}


async def ids_by_table(owner: Any, who: NewIdentity) -> dict[str, UUID]:
    """One id of each table that has ids: a document that was processed, a job that waits, a key that is not in use."""
    first = {
        "api_keys": "ORDER BY name = 'first key'",
        "documents": "ORDER BY chunks IS NULL",
        "jobs": "ORDER BY children IS NOT NULL, state <> 'queued', parent_id IS NOT NULL",
    }
    found: dict[str, UUID] = {}
    for table in await tables_of_tenants(owner):
        if any(column.name == "id" and column.type == "uuid" for column in table.columns):
            found[table.name] = await owner.fetchval(
                f"SELECT id FROM {table.name} WHERE {table.of_whom} {first.get(table.name, '')} LIMIT 1",
                who.tenant_id,
                who.user_id,
            )
    for name, query in {
        "parents": "SELECT job_id FROM parents WHERE tenant_id = $1 LIMIT 1",
        "jobs.batch": "SELECT id FROM jobs WHERE tenant_id = $1 AND kind = 'batch.run' LIMIT 1",
        "jobs.of_batch": "SELECT c.id FROM jobs c JOIN jobs p ON p.id = c.parent_id WHERE c.tenant_id = $1 "
        "AND p.kind = 'batch.run' LIMIT 1",
        "jobs.of_project": "SELECT c.id FROM jobs c JOIN jobs p ON p.id = c.parent_id WHERE c.tenant_id = $1 "
        "AND p.kind = 'project.process' LIMIT 1",
    }.items():
        found[name] = await owner.fetchval(query, who.tenant_id)
    return found


async def _make_up(owner: Any, table: Table, who: NewIdentity, word: str) -> None:
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name in GIVEN.get(table.name, {}):
            values[column.name] = GIVEN[table.name][column.name]
        elif column.name == "tenant_id":
            values[column.name] = who.tenant_id
        elif table.references.get(column.name) == "users":
            values[column.name] = who.user_id
        elif column.is_needed and column.name in table.references:
            values[column.name] = (await ids_by_table(owner, who))[table.references[column.name]]
        elif column.is_needed or column.name in ("target", "name"):
            values[column.name] = _made_up(column, f"{word} {table.name} {column.name}")
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    try:
        await owner.execute(
            f"INSERT INTO {table.name} ({', '.join(values)}) VALUES ({places}) ON CONFLICT DO NOTHING", *values.values()
        )
    except (asyncpg.PostgresError, KeyError, asyncpg.DataError) as error:
        raise AssertionError(
            f"Say in GIVEN (tests/integration/two_tenants.py) what a row of {table.name} looks like: {error!r}"
        ) from error


def _made_up(column: Column, text: str) -> Any:
    later = datetime.now(UTC) + timedelta(days=1)
    by_type = {
        "uuid": uuid4(),
        "text": text,
        "bytea": secrets.token_bytes(32),
        "timestamptz": later,
        "jsonb": "{}",
        "bool": False,
        "_text": [],
    }
    return by_type.get(column.type, 1)


def _in_order(tables: list[Table]) -> list[Table]:
    done: list[Table] = []
    left = {table.name: table for table in tables}
    while left:
        ready = [
            table
            for table in left.values()
            if not {target for target in table.references.values() if target != table.name} & left.keys()
        ]
        assert ready, f"tables that point to each other: {sorted(left)}"
        for table in sorted(ready, key=lambda table: table.name):
            done.append(left.pop(table.name))
    return done
