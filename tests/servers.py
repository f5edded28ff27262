"""The real Postgres and the real Valkey of a test session: one pair, fast, and gone without a trace afterwards.

@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    with running_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, remove

FAST_POSTGRES = {
    # nobody misses the data of a test after a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",  # a vacuum in the middle of a test only makes its times differ
}
FAST_VALKEY = {"appendonly": "no"}


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Running servers. `postgres.url()` and `valkey.url()` say where."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    def stop(self) -> None:
        """Stops both and deletes what they kept, also outside of the folder that they were given."""
        for server in (self.valkey, self.postgres):
            server.stop()
            remove(server.folder)


def start_servers(folder: Path) -> Servers:
    """Starts both in the folder; blocks for about a second."""
    servers = Servers(
        postgres=EmbeddedPostgres(folder / "postgres", settings=FAST_POSTGRES),
        valkey=EmbeddedValkey(folder / "valkey", settings=FAST_VALKEY),
    )
    try:
        servers.postgres.start()
        servers.valkey.start()
    except BaseException:
        servers.stop()
        raise
    return servers


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """`start_servers` for as long as a `with` lasts."""
    servers = start_servers(folder)
    try:
        yield servers
    finally:
        servers.stop()
