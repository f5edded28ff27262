"""Alembic's environment: one connection as the owner of the tables, one transaction a run, one runner at a time."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from arqueduct.database import owner_engine
from arqueduct.migrations import LOCK, is_made_per_model
from arqueduct.models import Tenant

METADATA = Tenant.metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        include_object=lambda _object, name, kind, *_: not is_made_per_model(kind, name),
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()


async def main() -> None:
    engine = owner_engine(context.config.attributes["database_url"])
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(main())
