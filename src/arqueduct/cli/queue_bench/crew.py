"""Processes for one measurement, started together and gone afterwards."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from arqueduct.cli.queue_bench import tally
from arqueduct.cli.queue_bench.tally import Reading
from arqueduct.errors import SetupError

__all__ = ["Crew", "Staff", "employing", "python_module", "working"]

READY_SECONDS = 60.0
LOOK_SECONDS = 0.001
STOP_SECONDS = 20.0
"""For processes that are asked to stop before they are killed."""


class Staff:
    """Processes whose output goes to the file `said`."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], said: Path) -> None:
        self._processes = processes
        self._said = said

    async def until(
        self, is_so: Callable[[], Awaitable[bool]], *, seconds: float = READY_SECONDS, look: float = 0.01
    ) -> None:
        """Asks every `look` seconds. Raises `SetupError` when a process ends or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while not await is_so():
                    if any(process.returncode is not None for process in self._processes):
                        raise SetupError(f"A worker of the benchmark has ended. {self._last()}")
                    await asyncio.sleep(look)
        except TimeoutError:
            raise SetupError(
                f"The workers of the benchmark did not get on in {seconds:.0f} s. {self._last()}"
            ) from None

    def _last(self) -> str:
        return " ".join(self._said.read_text(errors="replace").splitlines()[-3:])


class Crew:
    """Workers that count in files of their own."""

    def __init__(self, staff: Staff, tallies: Sequence[Path]) -> None:
        self._staff = staff
        self._tallies = tallies

    def read(self) -> list[Reading]:
        return tally.read(self._tallies)

    async def ready(self) -> None:
        """Waits until each looks at the queue."""

        async def are_ready() -> bool:
            return sum(reading.is_ready for reading in self.read()) == len(self._tallies)

        await self._staff.until(are_ready)

    async def counted(self, count: int, *, seconds: float, look: float = LOOK_SECONDS) -> list[Reading]:
        """Waits until they have run so many jobs together."""
        found: list[Reading] = []

        async def are_counted() -> bool:
            found[:] = self.read()
            return sum(reading.jobs for reading in found) >= count

        await self._staff.until(are_counted, seconds=seconds, look=look)
        return found


def python_module(module: str, *arguments: str) -> list[str]:
    """The command of a process that ends with us: it gets our process id as its last argument."""
    return [sys.executable, "-P", "-m", module, *arguments, str(os.getpid())]


@asynccontextmanager
async def employing(
    said: Path, commands: Sequence[Sequence[str]], *, environment: Mapping[str, str], patience: float = STOP_SECONDS
) -> AsyncIterator[Staff]:
    """One process a command. They may take `patience` seconds to stop; their input ends when we do."""
    processes: list[asyncio.subprocess.Process] = []
    try:
        for command in commands:
            processes.append(await _start(said, command, environment))  # noqa: PERF401  # each started must be ended
        yield Staff(processes, said)
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM if patience else signal.SIGKILL)
        for process in processes:
            await _ended(process, patience)


@asynccontextmanager
async def working(
    folder: Path, count: int, module: str, *arguments: str, environment: Mapping[str, str]
) -> AsyncIterator[Crew]:
    """`count` processes of `python -m module ARGUMENTS TALLY PARENT`, ready; `folder` must be empty."""
    tallies = [folder / f"tally-{number}" for number in range(count)]
    commands = [python_module(module, *arguments, str(path)) for path in tallies]
    async with employing(folder / "said", commands, environment=environment, patience=0) as staff:
        crew = Crew(staff, tallies)
        await crew.ready()
        yield crew


async def _start(said: Path, command: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    with said.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,
        )


async def _ended(process: asyncio.subprocess.Process, patience: float) -> None:
    try:
        async with asyncio.timeout(patience or None):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
