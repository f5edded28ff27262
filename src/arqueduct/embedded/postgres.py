"""Postgres with pgvector, as a child of this process."""

import os
import shutil
import signal
from pathlib import Path
from typing import ClassVar

from arqueduct.embedded.binaries import PostgresProgram, find_postgres
from arqueduct.embedded.home import Home, borrow
from arqueduct.embedded.server import EmbeddedServer, Launch
from arqueduct.errors import SetupError

__all__ = ["EmbeddedPostgres"]

OWNER = "arqueduct"
"""Superuser and database of the cluster."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path has at most 107 bytes, and data folders lie deep
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",  # touched only as data comes; an HNSW index wants to stay in memory
    "maintenance_work_mem": "128MB",  # an HNSW index that outgrows this is built several times slower
    "max_parallel_maintenance_workers": "0",  # they share memory through /dev/shm, 64 MB in a container
    "max_connections": "100",
    "jit": "off",  # compiles for longer than our queries run
    "wal_compression": "on",  # vectors are written as full pages after each checkpoint
    "random_page_cost": "1.1",  # small machines have flash disks
    "log_checkpoints": "off",  # a line every five minutes that nobody reads
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "cluster_name": "arqueduct",  # what `ps` shows
}

LC_CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")
"""First that the C library has. Full text takes from it what a letter is: under C, „Größe“–Übung is one word."""


class EmbeddedPostgres(EmbeddedServer):
    """`folder` is <data-dir>/postgres. The superuser and the database are both named `arqueduct`."""

    name = "Postgres"
    stop_steps: ClassVar = [(signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0)]
    _program: PostgresProgram
    _bin: Path

    def url(self, user: str = OWNER, database: str = OWNER) -> str:
        return f"postgresql://{user}:{self.password(user)}@127.0.0.1:{self.port}/{database}"

    def _prepare(self, launch: Launch) -> None:
        home = launch.home
        self._program = _fitting_program(home)
        postgres = self._program.bin / "postgres"
        self._bin = borrow(self._program.bundle, postgres, self._program.vector_control, home.account).parent
        if not home.data.exists():
            self._create(launch)
        elif not (home.path / "passwords").exists():
            raise SetupError(
                f"{home.path / 'passwords'} is gone: restore it, or set a new password in single-user mode."
            )
        # We hold the lock that a live server holds, so this file is stale; Postgres would take it for alive if its
        # process id was given to somebody else meanwhile, as happens at every restart of a container.
        (home.data / "postmaster.pid").unlink(missing_ok=True)

    def _create(self, launch: Launch) -> None:
        """Makes the cluster under another name, so that an interrupted first start leaves nothing half there."""
        home = launch.home
        new = home.path / "new"
        if new.exists():
            shutil.rmtree(new)
        home.give_folder(new)
        home.give_file(new / "password", f"{self.password(OWNER)}\n")
        self._initdb(launch, new)
        launch.run(
            [self._bin / "postgres", "--single", "-F", "-D", new / "data", "-c", "log_checkpoints=off", "postgres"],
            stdin=f"CREATE DATABASE {OWNER};\n".encode(),
        )
        if self.settings.get("fsync") != "off":
            launch.run([self._bin / "initdb", "--sync-only", "-D", new / "data"])
        (new / "data").rename(home.data)
        _sync(home.path)
        shutil.rmtree(new)

    def _initdb(self, launch: Launch, new: Path) -> None:
        provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self._program.major >= 17 else []
        for ctype in LC_CTYPES:
            command: list[str | Path] = [
                *(self._bin / "initdb", "-D", new / "data", "-U", OWNER, f"--pwfile={new / 'password'}"),
                *("--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--encoding=UTF8", "--data-checksums"),
                *(*provider, "--locale=C", f"--lc-ctype={ctype}", "--no-instructions", "--no-sync"),
            ]
            try:
                return launch.run(command)
            except SetupError:
                if "locale" not in launch.said() or ctype == LC_CTYPES[-1]:
                    raise
        return None

    def _launch(self, launch: Launch) -> None:
        settings = SETTINGS | {"port": str(launch.port)} | dict(self.settings)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        launch.spawn([self._bin / "postgres", "-D", launch.home.data, *options])

    def _ready(self, launch: Launch) -> bool:
        try:
            lines = (launch.home.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(launch.process.pid) and lines[7].strip() == "ready"


def _fitting_program(home: Home) -> PostgresProgram:
    version = home.data / "PG_VERSION"
    if not home.data.exists():
        return find_postgres()
    if not version.exists():
        raise SetupError(f"{home.data} is not a Postgres cluster: move it away, or restore it from a backup.")
    major = int(version.read_text())
    try:
        return find_postgres(major)
    except SetupError as error:
        raise SetupError(
            f"{home.folder} was made by PostgreSQL {major}. {error.message} "
            f"To change over, move the data with that version's pg_dump, or begin anew with ARQUEDUCT_DATA_DIR."
        ) from error


def _sync(folder: Path) -> None:
    """Makes a rename in the folder last through a power cut."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
