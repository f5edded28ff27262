"""A real Postgres with pgvector and a real Valkey for one machine, started from packages or the system's binaries.

    postgres = EmbeddedPostgres(data_dir / "postgres")
    postgres.start()                  # blocks for about a second the first time, a fifth of one later
    postgres.url("arqueduct_app")     # postgresql://arqueduct_app:…@127.0.0.1:…/arqueduct
    postgres.stop()

What lies in a server's folder (a link to below /var/lib/arqueduct where root started it and the server's user could
not enter): `data`, `log` and `log.1`, `passwords` (0600), `port`, `lock` (who started it), `server.lock` (held by
the server itself). The servers end with the process that started them, whichever way it ends.
"""

from arqueduct.embedded.home import remove
from arqueduct.embedded.postgres import EmbeddedPostgres
from arqueduct.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "remove"]
