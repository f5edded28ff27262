"""Worker and API processes of a test, real and quickly started; see `tests.integration.crashing`."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from arqueduct.settings import Settings
from tests.integration.test_worker_process import environment
from tests.integration.worker import until

__all__ = ["Launched", "Launcher", "Program", "launching", "loading"]

START_SECONDS = 30
"""Two cores that are busy with other tests."""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A process of the product."""

    pid: int
    settings: Settings
    _ended: "asyncio.Future[int]" = field(repr=False)

    @property
    def _announcement(self) -> Path:
        return self.settings.temporary_dir / f"worker-{self.pid}.json"

    @property
    def is_running(self) -> bool:
        return not self._ended.done()

    def send(self, number: signal.Signals) -> None:
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self, seconds: float = START_SECONDS) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._ended)

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await self.ended()

    async def ready(self) -> None:
        """Waits until a worker has opened everything and says where it answers."""

        async def announced() -> bool:
            assert self.is_running, "the process ended before it was ready"
            return await asyncio.to_thread(self._announcement.exists)

        await until(announced, START_SECONDS)

    async def probe(self, path: str) -> httpx.Response:
        """Asks a worker's own little server."""
        port = json.loads(await asyncio.to_thread(self._announcement.read_text))["metrics_port"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            return await client.get(path)

    async def metric(self, name: str) -> float:
        """The value of one line of `/metrics`."""
        page = (await self.probe("/metrics")).text
        (line,) = (line for line in page.splitlines() if line.startswith(f"{name} "))
        return float(line.rpartition(" ")[2])


class Program:
    """The process that has loaded everything, and of which all others are forks."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._ends: dict[int, asyncio.Future[int]] = defaultdict(asyncio.get_running_loop().create_future)
        self._ordering = asyncio.Lock()

    async def start(self, settings: Settings, order: dict[str, Any]) -> Launched:
        assert self._process.stdin is not None
        async with self._ordering:
            self._process.stdin.write(json.dumps(order | {"environment": environment(settings)}).encode() + b"\n")
            async with asyncio.timeout(START_SECONDS):
                pid = await self._started.get()
        return Launched(pid=pid, settings=settings, _ended=self._ends[pid])

    async def hear(self) -> None:
        """Follows what it says, for as long as it lives."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "started" in said:
                self._started.put_nowait(said["started"])
            else:
                self._ends[said["ended"]].set_result(said["status"])


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts processes of a test."""

    program: Program
    launched: list[Launched] = field(default_factory=list)

    async def start(
        self,
        settings: Settings,
        *,
        point: str | None = None,
        version: str | None = None,
        program: Literal["worker", "api", "empty"] = "worker",
    ) -> Launched:
        """Does not wait until it is ready. `point`: of `crashing.POINTS`, where it dies.

        `empty` is a worker that knows only the kind without stages, `crashing.EMPTY`.
        """
        started = await self.program.start(settings, {"program": program, "point": point, "version": version})
        self.launched.append(started)
        return started


@asynccontextmanager
async def launching(program: Program) -> AsyncIterator[Launcher]:
    """Everything that is started ends with the block."""
    launcher = Launcher(program=program)
    try:
        yield launcher
    finally:
        for process in launcher.launched:
            await process.kill()


@asynccontextmanager
async def loading() -> AsyncIterator[Program]:
    """For a module of tests: it takes two seconds to load everything."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.crashing",
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with threads must not fork
    )
    program = Program(process)
    hearing = asyncio.create_task(program.hear())
    try:
        yield program
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await hearing
