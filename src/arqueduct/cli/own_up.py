"""An `arqueduct up` of our own, for as long as a command needs it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from arqueduct.errors import SetupError, by_code

__all__ = ["OwnUp", "running_up"]

STOP_SECONDS = 60.0
LONGEST_LINE = 2**20
UNLIMITED = {f"ARQUEDUCT_{name}_PER_MINUTE": "1000000" for name in ("REQUESTS", "UPLOADS", "SEARCHES")}
"""Unless somebody set them: what is measured is how fast it is, not how often one may ask."""


class OwnUp:
    """The child process, ready to serve. `ready` is what it said then."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.ready = ready
        self._process = process

    async def ended(self) -> int:
        """Its exit status, when it ends."""
        return await self._process.wait()


@asynccontextmanager
async def running_up(data_dir: Path, *options: str) -> AsyncIterator[OwnUp]:
    """Ends with us, also if we are killed. Raises the error with which it could not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "arqueduct.cli", "up", "--json", "--data-dir", str(data_dir), *options),
        *("--die-with-parent", str(os.getpid())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
        env=UNLIMITED | os.environ,
        start_new_session=True,  # Ctrl-C is for us; we tell it
    )
    reading: asyncio.Task[None] | None = None
    try:
        ready = await _until_ready(process)
        reading = asyncio.create_task(_drain(process))
        yield OwnUp(process, ready)
    finally:
        await _stop(process)
        if reading is not None:
            await asyncio.gather(reading, return_exceptions=True)


async def _until_ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    async for line in process.stdout:
        event: dict[str, Any] = msgspec.json.decode(line)
        if event["event"] == "ready":
            return event
    said = (await process.stderr.read()).decode(errors="replace").strip()
    last = said.splitlines()[-1] if said else ""
    try:
        error = msgspec.json.decode(last)["error"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise SetupError(f"`arqueduct up` ended before it was ready. {said}") from None
    raise by_code(error["code"])(error["message"], advice=error.get("advice"))


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Nobody reads on, and a full pipe would stop it."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    await asyncio.gather(_to_nowhere(process.stdout), _to_nowhere(process.stderr))


async def _to_nowhere(stream: asyncio.StreamReader) -> None:
    while await stream.read(2**16):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
