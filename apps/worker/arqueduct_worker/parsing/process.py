"""The pool's side of one parser process: start it, ask it, tell what it died of, kill it."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from resource import getpagesize
from typing import Final, Self

import structlog

from arqueduct.errors import ArqueductError, DocumentTooComplex, ParserCrashed, ParserKilled
from arqueduct_worker.parsing.messages import (
    LENGTH_BYTES,
    Done,
    Failed,
    Message,
    Progress,
    Request,
    decode_message,
    frame,
)

__all__ = ["ParserProcess", "clean_environment"]

KEPT_LINES: Final = 20  # of standard error, for the log
WATCH_SECONDS: Final = 0.05
NEARLY_ALL: Final = 0.8  # of the address space: who died there died of the limit
MUCH: Final = 0.4  # who aborts with this much asked for more than was left, between two looks at it
FROM_OUTSIDE: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
MEMORY_WORDS: Final = ("bad_alloc", "MemoryError", "out of memory", "Out of memory", "Cannot allocate memory")

INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
OWN: Final = {
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",  # each arena takes 64 MB of the address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # a stack a core, out of the same address space
}

log = structlog.get_logger(__name__)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a parser may know: it reads strangers' files, so no database, key or password is among it."""
    return {name: environment[name] for name in INHERITED if name in environment} | OWN


class ParserProcess:
    """Serves one request at a time. `served` counts them; `resident` is its memory after the last one, in bytes."""

    def __init__(self, process: asyncio.subprocess.Process, memory: int) -> None:
        self._process = process
        self._memory = memory
        self._peak = 0
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._listening = asyncio.create_task(self._listen())
        self.served = 0
        self.resident = 0

    @classmethod
    async def start(cls, memory: int) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder the worker was started in is no place to import from
            "-m",
            "arqueduct_worker.parsing.child",
            f"--parent={os.getpid()}",
            f"--memory={memory}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(os.environ),
            start_new_session=True,  # Ctrl-C is for the worker, which ends its parsers itself
        )
        return cls(process, memory)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: Request, on_progress: Callable[[int, int, str], None]) -> Done | Failed:
        """The answer, after any number of calls of `on_progress`. Raises what the process died of, if it did."""
        self._watch()
        try:
            answer = await self._converse(request, on_progress)
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
            await self._process.wait()
            await self._listening
            raise self._cause_of_death() from None
        finally:
            self._watching.cancel()
        self.served += 1
        self.resident = answer.resident
        if self._said:
            log.info("parser said", pid=self.pid, lines=list(self._said))
            self._said.clear()
        return answer

    async def kill(self) -> None:
        """Ends it at once and waits until it is gone, even if the waiting task is cancelled again meanwhile."""
        if self.is_alive:
            self._process.kill()
        await asyncio.shield(self._reap())

    async def _reap(self) -> None:
        await self._process.wait()
        await self._listening

    async def _converse(self, request: Request, on_progress: Callable[[int, int, str], None]) -> Done | Failed:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101  # both are pipes
        assert answers is not None  # noqa: S101
        requests.write(frame(request))
        await requests.drain()
        while True:
            length = int.from_bytes(await answers.readexactly(LENGTH_BYTES), "big")
            message: Message = decode_message(await answers.readexactly(length))
            if not isinstance(message, Progress):
                return message
            on_progress(message.done, message.total, message.unit)

    async def _listen(self) -> None:
        """Standard error is always read: a full pipe would stop the process."""
        assert self._process.stderr is not None  # noqa: S101  # a pipe
        rest = ""
        while block := await self._process.stderr.read(8192):
            *lines, rest = (rest + block.decode("utf-8", "replace"))[-8192:].split("\n")
            self._said.extend(lines)
        self._said.extend([rest] if rest else [])

    def _watch(self) -> None:
        """Looks by and by, from a moment after now on."""
        self._watching = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)

    def _look(self) -> None:
        """Keeps the peak of its address space: after its death nobody can tell."""
        statm = Path(f"/proc/{self.pid}/statm")
        with suppress(OSError, IndexError):  # gone, or a system without /proc
            self._peak = max(self._peak, int(statm.read_text().split()[0]) * getpagesize())
            self._watch()

    def _cause_of_death(self) -> ArqueductError:
        code = self._process.returncode or 0
        said = "\n".join(self._said)
        log.warning("parser died", pid=self.pid, code=code, peak=self._peak, lines=list(self._said))
        if -code in FROM_OUTSIDE:
            return ParserKilled()
        most = MUCH if -code == signal.SIGABRT else NEARLY_ALL
        if self._peak > most * self._memory or any(word in said for word in MEMORY_WORDS):
            return DocumentTooComplex()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ParserCrashed(f"The parser crashed on this file ({name}); nothing else was harmed.")
