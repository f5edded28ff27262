"""The database as the owner of the tables, for commands that change the schema or make tenants."""

from collections.abc import Iterator
from contextlib import contextmanager

from arqueduct.settings import Settings
from arqueduct.supervisor.folder import DataFolder

__all__ = ["owner_database"]


@contextmanager
def owner_database(effective: Settings) -> Iterator[str]:
    """The database of the settings; else the one that runs in the folder; else it is started for the moment."""
    folder = DataFolder.at(effective.data_dir)
    if effective.database_url is not None:
        yield effective.database_url.get_secret_value()
    elif (runtime := folder.running()) is not None:
        yield runtime.database_url
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
