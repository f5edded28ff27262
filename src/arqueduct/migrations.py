"""The schema: revisions under `sql/`, and one vector index for each embedding model."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from arqueduct.database import owner_engine
from arqueduct.embedding import EmbeddingModel
from arqueduct.errors import DependencyUnavailable, SetupError

__all__ = [
    "LOCK",
    "Status",
    "downgrade",
    "ensure_model",
    "head",
    "is_made_per_model",
    "run_script",
    "status",
    "upgrade",
]

LOCK = 0x61727175
"""Advisory lock that lets one process migrate at a time ("arqu")."""

INDEX_PREFIX = "embeddings_hnsw_"

ADMIN_STATEMENTS = """\
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE ROLE arqueduct_app NOLOGIN;
CREATE ROLE arqueduct_worker NOLOGIN;
GRANT arqueduct_app, arqueduct_worker TO {user};
GRANT CREATE ON SCHEMA public TO {user};
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Which revision a database has (`None`: an empty one), and which this code needs."""

    current: str | None
    head: str

    @property
    def is_current(self) -> bool:
        return self.current == self.head


async def upgrade(url: str, revision: str = "head") -> None:
    """Brings the database to `revision`; several processes may try at once."""
    await _run(url, lambda config: command.upgrade(config, revision))


async def downgrade(url: str, revision: str) -> None:
    await _run(url, lambda config: command.downgrade(config, revision))


async def status(url: str) -> Status:
    engine = owner_engine(url)
    try:
        async with engine.connect() as connection:
            current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    except (OSError, DBAPIError) as error:
        raise DependencyUnavailable(f"Postgres is away: {error}") from error
    finally:
        await engine.dispose()
    return Status(current=current, head=head())


def head() -> str:
    """The newest revision that this code brings."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def ensure_model(url: str, model: EmbeddingModel) -> int:
    """Registers an embedding model and its index; returns the id under which its vectors are stored.

    Raises `SetupError` if the model was registered with other dimensions.
    """
    engine = owner_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            await connection.execute(
                text(
                    "INSERT INTO embedding_models (name, dimensions) SELECT :name, :dimensions "
                    "WHERE NOT EXISTS (SELECT FROM embedding_models WHERE name = :name)"
                ),
                {"name": model.name, "dimensions": model.dimensions},
            )
            row = (
                await connection.execute(
                    text("SELECT id, dimensions FROM embedding_models WHERE name = :name"), {"name": model.name}
                )
            ).one()
            if row.dimensions != model.dimensions:
                raise SetupError(
                    f"The vectors of {model.name} are stored with {row.dimensions} dimensions, but the "
                    f"configuration says {model.dimensions}. Set ARQUEDUCT_EMBEDDING_DIMENSIONS={row.dimensions}."
                )
            await connection.execute(text(_index(row.id, model.dimensions)))
            return int(row.id)
    finally:
        await engine.dispose()


def is_made_per_model(kind: str, name: str | None) -> bool:
    """Whether a database object is an index of `ensure_model`, which no revision knows."""
    return kind == "index" and (name or "").startswith(INDEX_PREFIX)


def run_script(path: Path) -> None:
    """Executes a file of SQL inside the running migration."""
    script = path.read_text()
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))


def _index(model_id: int, dimensions: int) -> str:
    # m and ef_construction are pgvector's defaults: measured enough for recall@10 ≥ 0.95 at this size of vectors.
    return (
        f"CREATE INDEX IF NOT EXISTS {INDEX_PREFIX}{model_id} ON embeddings "
        f"USING hnsw ((vector::halfvec({dimensions})) halfvec_cosine_ops) WITH (m = 16, ef_construction = 64) "
        f"WHERE model_id = {model_id} AND indexed"
    )


def _config() -> Config:
    here = Path(__file__).parent
    folder = here / "sql" if (here / "sql").is_dir() else here.parents[1] / "sql"
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


async def _run(url: str, act: Callable[[Config], None]) -> None:
    config = _config()
    config.attributes["database_url"] = url
    try:
        await asyncio.to_thread(act, config)  # Alembic runs its own event loop there
    except ProgrammingError as error:
        if "insufficient_privilege" not in repr(error).lower() and "permission denied" not in str(error):
            raise
        statements = ADMIN_STATEMENTS.format(user="<this user>")
        raise SetupError(f"This database user may not do all of it; let an administrator run:\n{statements}") from error
    except (OSError, DBAPIError) as error:
        raise DependencyUnavailable(f"Postgres is away or refused the migration: {error}") from error
