"""The database as the owner of the tables, for commands that change the schema or make tenants."""

from collections.abc import Iterator
from contextlib import contextmanager

from arqueduct.errors import SetupError
from arqueduct.settings import Settings
from arqueduct.supervisor.folder import DataFolder

__all__ = ["owner_database"]


@contextmanager
def owner_database(effective: Settings, *, make: bool = False) -> Iterator[str]:
    """The database of the settings; else the one that runs in the folder; else it is started for the moment.

    Raises `SetupError` where the folder never had one, unless it is to be made.
    """
    folder = DataFolder.at(effective.data_dir)
    if effective.database_url is not None:
        yield effective.database_url.get_secret_value()
    elif (runtime := folder.running()) is not None:
        yield runtime.database_url
    elif not make and not folder.has_database():
        raise SetupError(
            f"There is no installation in {folder.path}.",
            advice="Name its folder with --data-dir or ARQUEDUCT_DATA_DIR, or its database with DATABASE_URL.",
        )
    else:
        from arqueduct.embedded import EmbeddedPostgres

        lock = folder.hold()
        server = EmbeddedPostgres(folder.postgres)
        try:
            server.start()
            yield server.url()
        finally:
            server.stop()
            lock.release()
