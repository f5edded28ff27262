"""The order of it all: servers, schema, children, and the same backwards at the end."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import httpx

from arqueduct import __version__
from arqueduct.errors import SetupError
from arqueduct.settings import Settings
from arqueduct.supervisor import bootstrap, environment, records
from arqueduct.supervisor.address import choose_port, url_of
from arqueduct.supervisor.announcements import Announcements
from arqueduct.supervisor.child import Child, Say
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.records import Runtime
from arqueduct.supervisor.servers import Servers

__all__ = ["Supervisor"]

READY_SECONDS = 120
"""Longest wait for the first answer: a slow disk, and several processes that import at once."""
ASK_SECONDS = 0.1
ANNOUNCEMENT_SECONDS = 0.25
SETTLE_SECONDS = 15
"""After a worker's own grace period: what it takes to hand jobs back."""


class Supervisor:
    """Runs everything in one data folder until its task is cancelled. `verbose`: children write to our stderr."""

    def __init__(self, settings: Settings, *, say: Say, verbose: bool = False) -> None:
        self._folder = DataFolder.at(settings.data_dir)
        self._settings = settings
        self._say = say
        self._verbose = verbose
        self._children: list[Child] = []
        self._announcements = Announcements(self._folder.temporary)
        self._started_at = datetime.now(UTC)
        self._url = ""
        self._is_told = False

    async def run(self) -> None:
        """Raises `SetupError` when something cannot be started; ends with `CancelledError` after a clean stop."""
        async with AsyncExitStack() as stack:
            lock = self._folder.hold()
            stack.callback(lock.release)
            self._settings = self._settings.model_copy(
                update={"port": choose_port(self._settings.host, self._settings.port)}
            )
            self._url = url_of(self._settings.host, self._settings.port)
            self._servers = Servers(self._settings, self._folder, say=self._say, on_change=self._tell)
            if self._servers.postgres is not None:
                self._folder.empty_temporary()  # nobody else can be at work on this folder
            stack.push_async_callback(self._stop_servers)
            await self._serve(stack)

    def kill(self) -> None:
        """Ends API and workers at once; `run` then stops the servers, which takes no patience."""
        for child in self._children:
            child.kill()

    async def _serve(self, stack: AsyncExitStack) -> None:
        self._say("starting", what="servers", embedded=self._servers.embedded)
        await self._servers.start()
        self._say("starting", what="schema")
        await self._prepare()
        stack.callback(self._folder.runtime.unlink, missing_ok=True)
        self._say("starting", what="processes")
        stack.push_async_callback(self._stop_children)
        tasks = self._start_children()
        self._is_told = True
        await _until(asyncio.create_task(self._ready()), tasks)
        for child in self._children:
            child.must_live = False
        self._tell()
        self._say("ready", url=self._url, data_dir=str(self._folder.path), pids=self._pids())
        await _until(asyncio.create_task(self._keep()), tasks)

    async def _prepare(self) -> None:
        await bootstrap.bring_up_schema(self._servers.database_url, self._settings)
        if self._servers.postgres is not None:
            await bootstrap.let_roles_log_in(self._servers.postgres)
        await bootstrap.ensure_identity(self._servers.database_url, self._folder, self._url, self._say)

    def _start_children(self) -> "list[asyncio.Task[None]]":
        parts = (os.environ, self._settings, self._folder, self._servers)
        self._add("api", "api", environment.of_api(*parts))
        for number in range(1, self._settings.workers + 1):
            self._add(f"worker-{number}", "worker", environment.of_worker(*parts))
        return [child.start() for child in self._children]

    def _add(self, name: str, command: str, variables: dict[str, str]) -> None:
        log = None if self._verbose else self._folder.logs / f"{name}.log"
        self._children.append(
            Child(
                name=name,
                role=command,
                command=[command],
                environment=variables,
                log=log,
                say=self._say,
                on_change=self._tell,
            )
        )

    async def _ready(self) -> None:
        """The API says so, and each of our workers; another machine's worker, or one that was killed, may speak too.

        Raises `SetupError` with what the API said last.
        """
        probe = f"{self._url}/readyz" if self._settings.workers else f"{self._url}/livez"
        deadline = time.monotonic() + READY_SECONDS
        said = "nothing"
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                try:
                    answer = await client.get(probe)
                    self._announcements.look(self._pids()["worker"])
                    if answer.is_success and len(self._announcements.urls) == self._settings.workers:
                        return
                    said = answer.text
                except httpx.TransportError as error:
                    said = repr(error)
                await asyncio.sleep(ASK_SECONDS)
        raise SetupError(f"Not ready after {READY_SECONDS} s. {probe} says: {said}. Logs are in {self._folder.logs}.")

    async def _keep(self) -> None:
        await asyncio.gather(self._servers.keep(), self._follow_announcements())

    async def _follow_announcements(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCEMENT_SECONDS)
            if self._announcements.look(self._pids()["worker"]):
                self._tell()

    def _tell(self) -> None:
        """Writes runtime.json anew."""
        if not self._is_told:
            return
        self._announcements.look(self._pids()["worker"])
        with contextlib.suppress(OSError):  # a full disk must not end what runs; the next change writes again
            records.write(
                self._folder.runtime,
                Runtime(
                    url=self._url,
                    database_url=self._servers.database_url,
                    redis_url=self._servers.redis_url,
                    pids=self._pids(),
                    metrics_urls=[f"{self._url}/metrics", *self._announcements.urls],
                    version=__version__,
                    started_at=self._started_at,
                ),
            )

    def _pids(self) -> dict[str, list[int]]:
        pids: dict[str, list[int]] = {"up": [os.getpid()], **self._servers.pids(), "api": [], "worker": []}
        for child in self._children:
            if child.pid is not None:
                pids[child.role].append(child.pid)
        return pids

    async def _stop_children(self) -> None:
        self._say("stopping", what="processes", grace=self._settings.shutdown_grace)
        self._is_told = False
        grace = self._settings.shutdown_grace + SETTLE_SECONDS
        await asyncio.gather(*(child.stop(grace) for child in self._children))

    async def _stop_servers(self) -> None:
        self._say("stopping", what="servers")
        await self._servers.stop()
        self._say("stopped")


async def _until(wanted: "asyncio.Task[None]", children: "Iterable[asyncio.Task[None]]") -> None:
    """Waits for `wanted`; raises what ends a child before. Children are never cancelled: they are stopped."""
    try:
        done, _ = await asyncio.wait({wanted, *children}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        wanted.cancel()
        await asyncio.wait({wanted})
