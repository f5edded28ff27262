"""The product as it runs in earnest: two servers, one API, some workers, an embedding provider; all on this machine.

What dies is started again, as `arqueduct up` does. Everything ends with this process, whichever way it ends.
"""

import asyncio
import json
import math
import os
import shutil
import signal
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import psutil
from pydantic import SecretStr

from arqueduct.database import Role
from arqueduct.embedded import EmbeddedPostgres, EmbeddedValkey, remove
from arqueduct.embedded.process import free_port, open_log
from arqueduct.settings import Settings
from arqueduct.supervisor import bootstrap
from arqueduct.supervisor.environment import variables_of_servers
from arqueduct.supervisor.servers import to_the_end
from tests.openai_server import OpenAIServer, openai_server
from tests.servers import FAST_VALKEY

__all__ = ["Life", "Member", "Site", "open_site"]

POSTGRES = {
    # Whole processes die here, never the machine: what was handed to the kernel stays. What was not is lost with
    # synchronous_commit off, which would look like a lost job.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
AGAIN_SECONDS = 0.2
START_SECONDS = 60
STOP_SECONDS = 20
LONGEST_ERROR = 200
LATENCY_SECONDS = 0.05
"""Of the embedding provider: a fifth of a real one's, and enough that faults meet running jobs."""


@dataclass(kw_only=True)
class Life:
    """Of one process, from start to end; times are of the machine's clock, which is Postgres' clock too."""

    pid: int
    began: float
    ended: float | None = None
    hits: list[float] = field(default_factory=list)
    """When faults ended or stopped it."""
    asleep: list[tuple[float, float]] = field(default_factory=list)
    """From a SIGSTOP to its SIGCONT; one that died asleep has no such end."""


@dataclass(kw_only=True)
class Member:
    """One process of ours that is kept running, under `name`."""

    name: str
    command: str
    environment: dict[str, str]
    log: Path
    lives: list[Life] = field(default_factory=list)
    process: Process | None = None
    is_stopped: bool = False
    """By SIGSTOP."""
    _is_over: bool = False
    _task: "asyncio.Task[None] | None" = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.name)

    def hit(self, number: signal.Signals) -> bool:
        """Sends a signal; false between two lives."""
        if not self.is_running:
            return False
        assert self.process is not None
        life, now = self.lives[-1], time.time()
        if number is not signal.SIGCONT:
            life.hits.append(now)
        if number is signal.SIGSTOP and not self.is_stopped:
            life.asleep.append((now, math.inf))
        elif number is signal.SIGCONT and self.is_stopped:
            life.asleep[-1] = life.asleep[-1][0], now
        self.is_stopped = number is signal.SIGSTOP
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        return True

    async def stop(self) -> None:
        """In order if it can, else by force; with all it started."""
        self._is_over = True
        self.hit(signal.SIGCONT)
        self.hit(signal.SIGTERM)
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            self.hit(signal.SIGKILL)
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while not self._is_over:
            with open_log(self.log) as output:
                self.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "arqueduct.cli", self.command),
                    *("--die-with-parent", str(os.getpid())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                    start_new_session=True,
                )
            self.lives.append(Life(pid=self.process.pid, began=time.time()))
            if self._is_over:
                self.hit(signal.SIGTERM)
            await self.process.wait()
            self.lives[-1].ended = time.time()
            self.is_stopped = False
            await asyncio.sleep(AGAIN_SECONDS)


@dataclass(kw_only=True)
class Site:
    """All that runs. `settings` are those of the processes."""

    folder: Path
    settings: Settings
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    provider: OpenAIServer
    api: Member
    workers: list[Member]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    async def connect(self) -> asyncpg.Connection:
        """As the owner of everything."""
        return await asyncpg.connect(self.postgres.url())

    async def ready(self) -> None:
        """Waits until the API says that it and a worker are there."""
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return
                await asyncio.sleep(0.05)

    async def restart_postgres(self) -> None:
        """Kills it as an immediate shutdown does, and starts it again on its port."""
        port = self.postgres.port
        os.kill(self.postgres.pid, signal.SIGQUIT)
        await to_the_end(self.postgres.stop)
        self.postgres = EmbeddedPostgres(self.postgres.folder, port=port, settings=POSTGRES)
        await to_the_end(self.postgres.start)

    async def restart_valkey(self) -> None:
        """Kills it, and starts an empty one on its port."""
        port = self.valkey.port
        os.kill(self.valkey.pid, signal.SIGKILL)
        await to_the_end(self.valkey.stop)
        self.valkey = EmbeddedValkey(self.valkey.folder, port=port, settings=FAST_VALKEY)
        await to_the_end(self.valkey.start)

    def errors(self) -> Counter[str]:
        """What the processes logged as errors, which nothing of what is done here should be to them."""
        found: Counter[str] = Counter()
        for log in (self.api.log, *(worker.log for worker in self.workers)):
            for line in log.read_text().splitlines():
                if '"level": "error"' in line:
                    said = json.loads(line)
                    cause = said.get("exception", "").strip().splitlines()[-1:]
                    found[": ".join([said["event"].splitlines()[0], *cause])[:LONGEST_ERROR]] += 1
        return found

    def survivors(self) -> list[str]:
        """Processes of sessions whose worker is dead: nobody would ever end them."""
        dead = {life.pid for member in (self.api, *self.workers) for life in member.lives if life.ended}
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            with suppress(ProcessLookupError):
                if os.getsid(process.pid) in dead:
                    found.append(f"{process.pid} of {os.getsid(process.pid)}: {process.info['cmdline']}")
        return found


@asynccontextmanager
async def open_site(folder: Path, *, workers: int, stock: int = 0) -> AsyncIterator[Site]:
    """Everything started and ready; ended with the block, data removed. The logs stay in `<folder>/logs`.

    `stock` of the workers run with arq's own delivery.
    """
    (folder / "logs").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        provider = stack.enter_context(openai_server())
        provider.latency = LATENCY_SECONDS
        postgres = EmbeddedPostgres(folder / "postgres", settings=POSTGRES)
        valkey = EmbeddedValkey(folder / "valkey", settings=FAST_VALKEY)
        site = Site(
            folder=folder,
            settings=Settings(),
            postgres=postgres,
            valkey=valkey,
            provider=provider,
            api=Member(name="api", command="api", environment={}, log=folder / "logs" / "api.log"),
            workers=[],
        )
        stack.push_async_callback(_close, site)
        await asyncio.gather(to_the_end(postgres.start), to_the_end(valkey.start))
        site.settings = _settings(site)
        await bootstrap.bring_up_schema(postgres.url(), site.settings)
        await bootstrap.let_roles_log_in(postgres)
        site.api.environment = _environment(site.settings)
        for number in range(1, workers + 1):
            name, delivery = f"worker-{number}", "stock" if number <= stock else "batch"
            environment = site.api.environment | {"ARQUEDUCT_QUEUE_WORKER": delivery}
            log = site.logs / f"{name}.log"
            site.workers.append(Member(name=name, command="worker", environment=environment, log=log))
        for member in (site.api, *site.workers):
            member.start()
        await site.ready()
        yield site


async def _close(site: Site) -> None:
    await asyncio.gather(*(member.stop() for member in (site.api, *site.workers)))
    for server, name in ((site.valkey, "valkey"), (site.postgres, "postgres")):
        await to_the_end(server.stop)
        if (server.folder / "log").exists():
            await asyncio.to_thread(shutil.copy, server.folder / "log", site.logs / f"{name}.log")
        await asyncio.to_thread(remove, server.folder)
    await asyncio.to_thread(shutil.rmtree, site.folder / "data", ignore_errors=True)


def _settings(site: Site) -> Settings:
    """Intervals shrunk about eightfold; nothing fails for good only because many faults met one job."""
    return Settings(
        data_dir=site.folder / "data",
        database_url=SecretStr(site.postgres.url()),
        app_database_url=SecretStr(site.postgres.url(Role.APP)),
        worker_database_url=SecretStr(site.postgres.url(Role.WORKER)),
        redis_url=SecretStr(site.valkey.url()),
        port=free_port(),
        embedder="openai",
        openai_base_url=site.provider.url,
        openai_api_key=SecretStr("sk-chaos"),
        embedding_dimensions=64,
        embedding_batch=4,
        parsers=1,
        worker_concurrency=8,
        lease=4,
        heartbeat=0.5,
        sweep=0.5,
        redispatch=1.5,
        shutdown_grace=1,
        max_crashes=1000,
        max_failures=1000,
        log_format="json",
        requests_per_minute=1_000_000,
        uploads_per_minute=1_000_000,
        searches_per_minute=1_000_000,
        expensive_per_hour=1_000_000,
        strangers_per_minute=1_000_000,
    )


def _environment(settings: Settings) -> dict[str, str]:
    """Ours without servers that somebody set, and the settings of the site as variables."""
    kept = {name: value for name, value in os.environ.items() if name not in variables_of_servers()}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        kept[f"ARQUEDUCT_{name.upper()}"] = str(value.get_secret_value() if isinstance(value, SecretStr) else value)
    del kept["ARQUEDUCT_DATABASE_URL"]  # each process has the login of its own role only
    return kept
