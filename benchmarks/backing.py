"""What all sides stand on: one Postgres, one Valkey and one made-up embeddings API, the same for each of them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import redis

from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, remove

__all__ = ["ROOT", "Backing", "environment", "free_port", "running_backing", "running_module"]

ROOT = Path(__file__).parents[1]
POSTGRES = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "10000",
    "maintenance_work_mem": "256MB",
}
"""On top of what the embedded server has; it stays durable. The extension counts the statements of every side."""
READY_SECONDS = 60.0
FOREIGN = ("ARQUEDUCT_", "OPENAI_", "DATABASE_URL", "REDIS_URL", "PEER_")
SPARED = "ARQUEDUCT_VECTOR_HEAD"
"""With 0 our vectors are in the index when the clock stops, as everybody's."""


@dataclass(frozen=True, kw_only=True)
class Backing:
    """Running servers."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    provider_pid: int
    embed_url: str

    @property
    def redis_url(self) -> str:
        return self.valkey.url()

    async def fresh(self) -> str:
        """The name of a new, empty database with pgvector; Valkey is emptied too, and Postgres writes out what it has.

        No run pays for what the one before it left.
        """
        name = f"run_{uuid4().hex[:12]}"
        owner = await asyncpg.connect(self.postgres.url())
        try:
            await owner.execute(f"CREATE DATABASE {name}")
            await owner.execute("CHECKPOINT")
        finally:
            await owner.close()
        inside = await asyncpg.connect(self.postgres.url(database=name))
        await inside.execute("CREATE EXTENSION vector; CREATE EXTENSION pg_stat_statements")
        await inside.close()
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        self.asked()
        return name

    async def drop(self, database: str) -> None:
        owner = await asyncpg.connect(self.postgres.url())
        try:
            await owner.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        finally:
            await owner.close()

    def asked(self) -> dict[str, int]:
        """What the embeddings API was asked since this was called last."""
        answer = httpx.get(f"{self.embed_url.removesuffix('/v1')}/stats", trust_env=False)
        counts: dict[str, int] = answer.raise_for_status().json()
        return counts


@contextmanager
def running_backing(folder: Path) -> Iterator[Backing]:
    """Starts everything, and leaves nothing behind. Raises `SetupError` where a server is missing or fails."""
    postgres = EmbeddedPostgres(folder / "postgres", settings=POSTGRES)
    valkey = EmbeddedValkey(folder / "valkey")
    with ExitStack() as stack:
        for server in (postgres, valkey):
            stack.callback(remove, server.folder)
            stack.callback(server.stop)
            server.start()
        port = free_port()
        provider = stack.enter_context(running_module("benchmarks.provider", "--port", str(port), port=port))
        yield Backing(
            postgres=postgres,
            valkey=valkey,
            provider_pid=provider.pid,
            embed_url=f"http://127.0.0.1:{port}/v1",
        )


@contextmanager
def running_module(module: str, *arguments: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m module`, from when it listens on the port. Raises `RuntimeError` if it does not."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on port {port}; its exit code is {process.poll()}.")


def environment(extra: dict[str, str]) -> dict[str, str]:
    """That of this process without settings of the product (but `SPARED`) or of a real provider: they would change the
    result."""
    kept = {name: value for name, value in os.environ.items() if name == SPARED or not name.startswith(FOREIGN)}
    return kept | extra
