"""What the two servers have in common: lock, port, passwords, log, start, stop."""

import contextlib
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from arqueduct.embedded.home import Home, open_home
from arqueduct.embedded.lock import Lock
from arqueduct.embedded.passwords import Passwords
from arqueduct.embedded.process import end, free_port, is_free, open_log, spawn, tail
from arqueduct.errors import SetupError

__all__ = ["EmbeddedServer", "Launch"]

START_SECONDS = 300.0
"""Longest wait for a server that lives but is not ready: replaying a gigabyte of log on a slow disk."""
PORT_ATTEMPTS = 3
"""A free port can be lost between our look and the server's."""


class Launch:
    """One start of a server, from the taking of its locks to the moment it serves."""

    process: subprocess.Popen[bytes]
    """What was spawned last."""

    def __init__(self, home: Home, server_lock: Lock, output: int, death_signal: signal.Signals) -> None:
        self.home = home
        self.port = 0
        self.log = home.path / "log"
        self._lock = server_lock
        self._output = output
        self._death_signal = death_signal
        self._begin = 0

    def spawn(self, command: Sequence[str | Path], stdin: bytes = b"") -> None:
        self._begin = self.log.stat().st_size
        self.process = spawn(
            command,
            account=self.home.account,
            death_signal=self._death_signal,
            lock=self._lock,
            output=self._output,
            stdin=stdin,
        )

    def run(self, command: Sequence[str | Path], stdin: bytes = b"") -> None:
        """Waits for a program that prepares the start. Raises `SetupError` with its output."""
        self.spawn(command, stdin)
        try:
            status = self.process.wait()
        except BaseException:
            end(self.process, ())
            raise
        if status != 0:
            raise self.failure(f"{Path(command[0]).name} failed")

    def said(self) -> str:
        """The last lines that the program started last has written."""
        return tail(self.log, self._begin)

    def failure(self, what: str) -> SetupError:
        return SetupError(f"{what} in {self.home.folder}. {self.log} says:\n{self.said()}")


class EmbeddedServer(ABC):
    """A server with a folder of its own, on a port of 127.0.0.1.

    `start` and `stop` block; call them from any thread. The port is kept and taken again at the next start if it is
    still free; a `port` that is given is insisted on. `settings` override the server's own defaults.
    """

    name: ClassVar[str]
    stop_steps: ClassVar[Sequence[tuple[signal.Signals, float]]]
    """Signals in the order of rising force, with the seconds that each may take."""

    def __init__(self, folder: Path, *, port: int = 0, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.folder = folder
        self.settings = settings
        self._wanted_port = port
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: Lock | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def port(self) -> int:
        self._running()
        return self._port

    def password(self, role: str) -> str:
        """The role's password, made at the first call. Creating the role with it is the caller's business."""
        if not self.folder.exists():
            raise SetupError(f"{self.name} in {self.folder} was never started.")
        return Passwords(self.folder / "passwords").get(role)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when the server serves; does nothing if it already does.

        Raises `SetupError` if the folder is in use or not ours, no program fits, or the server fails: then with
        the end of its log.
        """
        if self.alive():
            return
        self.stop()
        home = open_home(self.folder)
        try:
            with contextlib.ExitStack() as undo:
                lock = Lock(home.path / "lock").hold(self.folder)
                undo.callback(lock.release)
                self._start(home)
                undo.pop_all()
                self._lock = lock
        except OSError as error:
            raise SetupError(f"{self.name} cannot start in {self.folder}: {error}") from error

    def stop(self) -> None:
        """Stops the server if it runs, by force if it takes too long, and lets go of the folder."""
        if self._process is not None:
            end(self._process, self.stop_steps)
            self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @abstractmethod
    def _prepare(self, launch: Launch) -> None:
        """Whatever comes before the server itself: the programs, the data folder."""

    @abstractmethod
    def _launch(self, launch: Launch) -> None:
        """Spawns the server on `launch.port`."""

    @abstractmethod
    def _ready(self, launch: Launch) -> bool:
        """Whether `launch.process` answers queries."""

    def _start(self, home: Home) -> None:
        polite, patience = self.stop_steps[0]
        with contextlib.ExitStack() as stack:
            server_lock = Lock(home.path / "server.lock").seize(polite, patience)
            stack.callback(server_lock.release)  # the server keeps its own hold
            output = stack.enter_context(open_log(home.path / "log"))
            launch = Launch(home, server_lock, output, polite)
            self._prepare(launch)
            self._serve(launch)

    def _serve(self, launch: Launch) -> None:
        kept = launch.home.path / "port"
        for attempt in range(1, PORT_ATTEMPTS + 1):
            launch.port = self._wanted_port or _choose_port(kept)
            self._launch(launch)
            if self._wait(launch):
                kept.write_text(f"{launch.port}\n")
                self._process, self._port = launch.process, launch.port
                return
            in_use = "ddress already in use" in launch.said()
            if self._wanted_port or not in_use or attempt == PORT_ATTEMPTS:
                raise launch.failure(f"{self.name} did not start on port {launch.port}")

    def _wait(self, launch: Launch) -> bool:
        """Whether the server came to serve; otherwise it is gone."""
        process = launch.process
        deadline = time.monotonic() + START_SECONDS
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if self._ready(launch):
                    return True
                time.sleep(0.01)
        except BaseException:
            end(process, self.stop_steps)
            raise
        if process.poll() is None:
            end(process, self.stop_steps)
        return False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SetupError(f"{self.name} in {self.folder} is not started.")
        return self._process


def _choose_port(kept: Path) -> int:
    """The port of the last start if it is still free, so that an open `psql` or a bookmark keeps working."""
    content = kept.read_text().strip() if kept.exists() else ""
    return int(content) if content.isdigit() and is_free(int(content)) else free_port()
