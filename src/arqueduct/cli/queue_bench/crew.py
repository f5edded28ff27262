"""Worker processes for one measurement, started together and gone afterwards."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from arqueduct.cli.queue_bench import tally
from arqueduct.cli.queue_bench.tally import Reading
from arqueduct.errors import SetupError

__all__ = ["Crew", "working"]

READY_SECONDS = 60.0
LOOK_SECONDS = 0.001


class Crew:
    """Processes that count in files of their own."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], tallies: Sequence[Path], said: Path) -> None:
        self._processes = processes
        self._tallies = tallies
        self._said = said

    def read(self) -> list[Reading]:
        return tally.read(self._tallies)

    async def ready(self) -> None:
        """Waits until each looks at the queue."""
        async with self._at_most(READY_SECONDS):
            while sum(reading.is_ready for reading in self.read()) < len(self._tallies):
                await self._pause(0.01)

    async def counted(self, count: int, *, seconds: float, look: float = LOOK_SECONDS) -> list[Reading]:
        """Waits until they have run so many jobs together."""
        async with self._at_most(seconds):
            while (found := self.read()) and sum(reading.jobs for reading in found) < count:
                await self._pause(look)
        return found

    @asynccontextmanager
    async def _at_most(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise SetupError(
                f"The workers of the benchmark did not get on in {seconds:.0f} s. {self._last()}"
            ) from None

    async def _pause(self, seconds: float) -> None:
        if any(process.returncode is not None for process in self._processes):
            raise SetupError(f"A worker of the benchmark has ended. {self._last()}")
        await asyncio.sleep(seconds)

    def _last(self) -> str:
        return " ".join(self._said.read_text(errors="replace").splitlines()[-3:])


@asynccontextmanager
async def working(
    folder: Path, count: int, module: str, *arguments: str, environment: Mapping[str, str]
) -> AsyncIterator[Crew]:
    """`count` processes of `python -m module ARGUMENTS TALLY PARENT`, ready; `folder` must be empty."""
    said = folder / "said"
    tallies = [folder / f"tally-{number}" for number in range(count)]
    processes: list[asyncio.subprocess.Process] = []
    try:
        for path in tallies:
            process = await _start(said, [module, *arguments, str(path)], environment)
            processes.append(process)  # one by one, so that each started is ended
        crew = Crew(processes, tallies, said)
        await crew.ready()
        yield crew
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
        for process in processes:
            await process.wait()


async def _start(said: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    with said.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", *arguments, str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,
        )
