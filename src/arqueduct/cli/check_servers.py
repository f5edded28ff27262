"""Questions to Postgres, Redis and the API, with what an administrator must run where something is missing."""

from collections.abc import Sequence

import asyncpg
import httpx
from sqlalchemy import make_url

from arqueduct import migrations
from arqueduct.bus import AWAY, connect
from arqueduct.cli.checkup import Finding, bad, good, skipped, weak
from arqueduct.database import Role
from arqueduct.errors import DependencyUnavailable
from arqueduct.keys import Keys
from arqueduct.settings import redact_url

__all__ = [
    "check_api",
    "check_postgres",
    "check_redis",
    "check_revision",
    "check_roles",
    "check_vector",
    "check_vectors",
]

LEAST_POSTGRES = 150000
LEAST_VECTOR = (0, 8)
LEAST_REDIS = (6, 2)
CONNECT_SECONDS = 5

_ROLES = """
    SELECT wanted.name, r.oid IS NOT NULL AS is_there, coalesce(r.rolsuper OR r.rolbypassrls, false) AS is_above_rows,
        r.oid IS NOT NULL AND pg_has_role(current_user, r.oid, 'MEMBER') AS can_be_taken
    FROM unnest($1::text[]) AS wanted(name) LEFT JOIN pg_roles r ON r.rolname = wanted.name
"""


async def check_postgres(url: str) -> Finding:
    connection = await _open(url)
    try:
        number = int(await connection.fetchval("SHOW server_version_num"))
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    said = f"{version} at {redact_url(url)}"
    return good(said) if number >= LEAST_POSTGRES else bad(said, "Use PostgreSQL 15 or newer.")


async def check_vector(url: str) -> Finding:
    connection = await _open(url)
    try:
        row = await connection.fetchrow(
            "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'"
        )
    finally:
        await connection.close()
    if row is None:
        return bad("the server has no pgvector", "Install pgvector 0.8 or newer on the database server.")
    if row["installed_version"] is None:
        return bad(
            f"{row['default_version']} is there, but not in this database",
            "Run `arqueduct migrate up`, or let an administrator run: CREATE EXTENSION vector;",
        )
    if tuple(map(int, row["installed_version"].split(".")[:2])) < LEAST_VECTOR:
        return bad(
            f"{row['installed_version']}", "Install pgvector 0.8 or newer, then run: ALTER EXTENSION vector UPDATE;"
        )
    return good(str(row["installed_version"]))


async def check_revision(url: str) -> Finding:
    found = await migrations.status(url)
    if found.is_current:
        return good(f"at revision {found.current}")
    return bad(f"at {found.current or 'no revision'}, this version needs {found.head}", "Run `arqueduct migrate up`.")


async def check_roles(url: str) -> Finding:
    """The two that serve: there, ours to take on, and not above row-level security."""
    connection = await _open(url)
    try:
        user = await connection.fetchval("SELECT current_user::text")
        rows = await connection.fetch(_ROLES, [role.value for role in Role])
    finally:
        await connection.close()
    return _judged(user, rows)


async def check_vectors(url: str) -> Finding:
    """How many wait for their place in the index, when a worker counted them last."""
    connection = await _open(url)
    try:
        row = await connection.fetchrow("SELECT vectors, is_full FROM vector_head")
    finally:
        await connection.close()
    said = f"{row['vectors'] if row else 0:,} vectors are not in it yet"
    if row and row["vectors"] and row["is_full"]:
        return weak(
            f"{said}, and new ones go into it at once",
            "Nothing to do while much is being ingested. Else more workers: only one without a job merges.",
        )
    return good(said)


async def check_redis(url: str) -> Finding:
    redis = connect(url, Keys(prefix="arqueduct"))
    try:
        told = await redis.info()
    except AWAY as error:
        return bad(f"{redact_url(url)} is away: {error}", "Start it, or correct REDIS_URL.")
    finally:
        await redis.aclose()
    said = f"{told.get('server_name', 'redis')} {told['redis_version']} at {redact_url(url)}"
    if tuple(map(int, str(told["redis_version"]).split(".")[:2])) < LEAST_REDIS:
        return bad(said, "Use Redis 6.2 or newer, or Valkey.")
    if (policy := told.get("maxmemory_policy")) != "noeviction":
        return weak(f"{said}, maxmemory-policy {policy}", "Set it to noeviction: wake-ups of jobs must not be dropped.")
    return good(said)


async def check_api(url: str | None) -> Finding:
    if url is None:
        return skipped("not running in this data folder")
    async with httpx.AsyncClient(timeout=CONNECT_SECONDS, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz")
            checks = answer.json()["checks"]
        except (httpx.TransportError, ValueError, KeyError) as error:
            return bad(f"{url}/readyz does not answer: {error!r}", "Look into <data-dir>/logs/api.log.")
    wrong = [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
    return bad("; ".join(wrong), "Look into <data-dir>/logs.") if wrong else good(f"ready at {url}")


def _judged(user: str, rows: Sequence[asyncpg.Record]) -> Finding:
    statements = migrations.ADMIN_STATEMENTS.format(user=f'"{user}"')
    if missing := [row["name"] for row in rows if not row["is_there"]]:
        return bad(
            f"missing: {', '.join(missing)}",
            f"Run `arqueduct migrate up`; if {user} may not, let an administrator run:\n{statements}",
        )
    if above := [row["name"] for row in rows if row["is_above_rows"]]:
        fix = "\n".join(f"ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS;" for name in above)
        return bad(f"above row-level security: {', '.join(above)}", f"Let an administrator run:\n{fix}")
    if closed := [row["name"] for row in rows if not row["can_be_taken"]]:
        fix = f'GRANT {", ".join(closed)} TO "{user}";'
        return bad(f"{user} may not take on {', '.join(closed)}", f"Let an administrator run:\n{fix}")
    return good(", ".join(row["name"] for row in rows))


async def _open(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return await asyncpg.connect(plain, timeout=CONNECT_SECONDS)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise DependencyUnavailable(f"{redact_url(url)} does not let us in: {error}") from error
