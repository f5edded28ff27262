"""One process of ours: kept running, its output in a file, and stopped within a grace period."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from arqueduct.embedded.process import open_log, tail
from arqueduct.errors import SetupError

__all__ = ["Child", "Say"]

FIRST_DELAY = 0.2
MAX_DELAY = 10.0
"""Seconds before another start, doubled at each death: a process that dies at once must not eat the machine."""
LONG_LIFE = 30.0
"""Seconds after which a death counts as the first again."""


class Say(Protocol):
    """Tells whoever watches what happened."""

    def __call__(self, event: str, **fields: object) -> None: ...


class Child:
    """`python -m arqueduct.cli <command>` under a name. `log` is where its output goes; `None`: to ours."""

    def __init__(
        self,
        *,
        name: str,
        role: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None,
        say: Say,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self.role = role
        self.must_live = True
        """Until everything is ready: a death then is an error of the setup, and starting anew would hide it."""
        self._command = command
        self._environment = environment
        self._log = log
        self._log_begin = 0
        self._say = say
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """`None` between two lives."""
        return self._process.pid if self._process else None

    def start(self) -> "asyncio.Task[None]":
        """The task ends after `stop`, or with `SetupError` if the process dies while it must live."""
        self._task = asyncio.create_task(self._keep(), name=self.name)
        return self._task

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            self._say("killed", process=self.name, reason=f"it did not stop within {grace:.0f} s")
            self.kill()
        await asyncio.gather(self._task, return_exceptions=True)  # how it ended was told when it did

    def kill(self) -> None:
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def said(self) -> str:
        """The last lines that its present or last life has written."""
        return tail(self._log, self._log_begin) if self._log else ""

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._live()
            if self._stopping.is_set():
                return
            if self.must_live:
                raise SetupError(f"{self.name} {_ended(status)} before it was ready.{self._quote()}")
            delay = FIRST_DELAY if time.monotonic() - started > LONG_LIFE else delay
            self._say("died", process=self.name, reason=_ended(status), again_in=delay, log=str(self._log or ""))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, MAX_DELAY)

    async def _live(self) -> int:
        """From start to end; returns the exit status, negative for a signal."""
        self._process = await self._spawn()
        if self._stopping.is_set():  # said while we were starting it
            self._signal(signal.SIGTERM)
        self._on_change()
        status = await self._process.wait()
        self._process = None
        self._on_change()
        return status

    async def _spawn(self) -> asyncio.subprocess.Process:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(open_log(self._log)) if self._log else None
            self._log_begin = self._log.stat().st_size if self._log else 0
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder we were started in is no place to import from
                *("-m", "arqueduct.cli", *self._command, "--die-with-parent", str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if output is not None else sys.stderr.fileno(),
                stderr=output if output is not None else sys.stderr.fileno(),
                env=dict(self._environment),
                start_new_session=True,  # Ctrl-C in the terminal is for us: we stop our children in order
            )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _quote(self) -> str:
        said = self.said()
        return f" {self._log} says:\n{said}" if said else ""


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
