"""How old messages are when they reach clients, with many users who have one socket each, on one API process.

A message is a state of a job of one user, published to Redis as workers do it, so each is one delivery. Its age runs
from before it is encoded until a client has read it, and so includes Redis and the client.
"""

import asyncio
import json
import math
import resource
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import psutil
import redis.asyncio

from arqueduct import events
from arqueduct.events import JobMessage
from arqueduct.identity import key_hash
from arqueduct.ids import new_id
from arqueduct.keys import Keys
from arqueduct.lifecycle import JobState
from benchmarks.backing import ROOT, Backing, environment
from benchmarks.figures import percentile
from benchmarks.installation import Installation, installed
from benchmarks.processes import cpu_seconds

__all__ = ["LIMIT_MS", "Waits", "measure", "told"]

LIMIT_MS = 50.0
"""Within which 95 % of the messages are to be there."""
USERS_OF_TENANT = 100
TICK_SECONDS = 0.01
"""What is due within this is published in one round trip."""
PATIENCE = 400.0
SPARE_FILES = 512
LINE_BYTES = 64 * 2**20
"""Of the ages of all messages."""


class Waits(NamedTuple):
    """Milliseconds from publication to client, and what they stand on."""

    p50: float
    p95: float
    p99: float
    clients: int
    messages: int
    """That were published."""
    arrived: int
    per_second: float
    """As it was, not as it was meant."""
    cores: Mapping[str, float]
    """CPU seconds a second meanwhile."""
    kilobytes: float
    """Resident memory that the API took for each socket."""
    connecting: float
    """Seconds until all had their snapshots."""

    @property
    def ratio(self) -> float:
        return LIMIT_MS / self.p95


class _User(NamedTuple):
    tenant_id: UUID
    id: UUID
    key: str
    job_id: UUID


async def measure(backing: Backing, clients: int, per_second: int, seconds: float) -> Waits:
    """Raises `RuntimeError` where the machine allows too few open files, or a socket was closed."""
    _allow_files(clients + SPARE_FILES)
    most = str(clients)
    limits = {f"ARQUEDUCT_MAX_SOCKETS{of}": most for of in ("", "_PER_TENANT")}
    provider = {"OPENAI_BASE_URL": backing.embed_url, "ARQUEDUCT_EMBEDDING_DIMENSIONS": "384"}
    # Every key is a new one, and comes from this address.
    strangers = {"ARQUEDUCT_STRANGERS_PER_MINUTE": str(10 * clients)}
    async with installed(backing, **limits, **provider, **strangers) as ours:
        users = await _sign_up(ours, clients)
        (api,) = ours.runtime.pids["api"]
        before, began = psutil.Process(api).memory_info().rss, time.perf_counter()
        async with _connected(ours, users) as listening:
            connecting = time.perf_counter() - began
            taken = (psutil.Process(api).memory_info().rss - before) / clients / 1024
            watched = {
                "API": api,
                "Redis": backing.valkey.pid,
                "Postgres": backing.postgres.pid,
                "clients": listening.pid,
            }
            sent, took, cores = await _publish(backing, users, per_second, seconds, watched)
            waits = await _ages(listening, sent)
    arrived = len(waits)
    waits += [math.inf] * (sent - arrived)  # a newer state took their place
    return Waits(
        p50=percentile(waits, 0.5),
        p95=percentile(waits, 0.95),
        p99=percentile(waits, 0.99),
        clients=clients,
        messages=sent,
        arrived=arrived,
        per_second=sent / took,
        cores=cores,
        kilobytes=taken,
        connecting=connecting,
    )


def told(waits: Waits) -> str:
    """For people."""
    cores = ", ".join(f"{name} {used:.2f}" for name, used in waits.cores.items())
    return (
        f"{waits.clients:,} clients, {waits.per_second:,.0f} messages a second, {waits.arrived:,} of "
        f"{waits.messages:,} arrived: 50 % within {waits.p50:.1f} ms, 95 % within {waits.p95:.1f}, 99 % within "
        f"{waits.p99:.1f}. Cores: {cores}. {waits.kilobytes:.0f} kB a socket; all connected within "
        f"{waits.connecting:.0f} s."
    )


def _allow_files(count: int) -> None:
    """For this process and what it starts. Raises `RuntimeError`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise RuntimeError(f"A crowd needs {count:,} open files, and {hard:,} are allowed: see `ulimit -Hn`.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def _sign_up(ours: Installation, count: int) -> list[_User]:
    """Straight into the tables: what is measured begins with their sockets."""
    tenants = [new_id() for _ in range(0, count, USERS_OF_TENANT)]
    users = [
        _User(tenants[number // USERS_OF_TENANT], new_id(), f"aq_{secrets.token_urlsafe(32)}", new_id())
        for number in range(count)
    ]
    rows: Mapping[str, tuple[Sequence[str], list[tuple[Any, ...]]]] = {
        "tenants": (("id", "name"), [(tenant, "crowd") for tenant in tenants]),
        "users": (("id", "email", "password_hash"), [(user.id, f"{user.id}@example.com", "-") for user in users]),
        "memberships": (("tenant_id", "user_id", "role"), [(user.tenant_id, user.id, "editor") for user in users]),
        "api_keys": (
            ("id", "tenant_id", "user_id", "name", "prefix", "key_hash"),
            [(new_id(), user.tenant_id, user.id, "crowd", user.key[:7], key_hash(user.key)) for user in users],
        ),
    }
    for table, (columns, records) in rows.items():
        await ours.owner.copy_records_to_table(table, columns=columns, records=records)
    return users


@asynccontextmanager
async def _connected(ours: Installation, users: Sequence[_User]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process of the clients, with all of them signed in."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.sides.crowd_clients", ours.credentials.url.rpartition(":")[2]),
        cwd=ROOT,
        env=environment({}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        await _tell(process, json.dumps([user.key for user in users]))
        await _heard(process, "connected")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _publish(
    backing: Backing, users: Sequence[_User], per_second: int, seconds: float, watched: Mapping[str, int]
) -> tuple[int, float, Mapping[str, float]]:
    """At an even pace, to each user in turn: how many, in how many seconds, and the cores that were used meanwhile."""
    keys, sent = Keys(prefix="arqueduct"), 0
    before = _spent(watched)
    async with redis.asyncio.Redis.from_url(backing.redis_url) as client:
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            pipeline = client.pipeline(transaction=False)
            for number in range(sent, round(per_second * (passed + TICK_SECONDS))):
                user = users[number % len(users)]
                pipeline.publish(keys.live(user.id), _message(user, number // len(users) + 1))
                sent += 1
            if len(pipeline):
                await pipeline.execute()
            await asyncio.sleep(max(0, began + passed + TICK_SECONDS - time.perf_counter()))
        took = time.perf_counter() - began
    cores = {name: (spent - before[name]) / took for name, spent in _spent(watched).items()}
    return sent, took, cores


def _spent(watched: Mapping[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in watched.items()} | {"publisher": time.process_time()}


def _message(user: _User, seq: int) -> bytes:
    """A step of the one job that this user watches."""
    message = JobMessage(
        id=f"{user.job_id}:{seq}",
        type="job_progress",
        tenant_id=user.tenant_id,
        job_id=user.job_id,
        kind="document.ingest",
        document_id=user.job_id,
        document_name="report.pdf",
        state=JobState.RUNNING,
        stage="embedding",
        progress=0.5,
        message=None,
        details={"done": 5, "total": 10, "unit": "passages", "sent": time.monotonic_ns()},
        eta_seconds=3,
        error=None,
        attempt=1,
        seq=seq,
        timestamp=events.timestamp(),
    )
    return events.encode(message)


async def _ages(listening: asyncio.subprocess.Process, sent: int) -> list[float]:
    """Of the messages that came. Raises `RuntimeError`."""
    await _tell(listening, str(sent))
    said = await _heard(listening, "done")
    if said["lost"] or not said["waits"]:
        raise RuntimeError(f"The API closed {said['lost']} sockets of a crowd; {len(said['waits'])} messages came.")
    return list(said["waits"])


async def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()


async def _heard(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Raises `RuntimeError` if it ends instead."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError("The clients of a crowd ended early.")
    said: dict[str, Any] = json.loads(line)
    assert said["event"] == event
    return said
