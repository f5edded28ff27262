"""Child processes that end with this one, and the files they write to."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from arqueduct.embedded import guard
from arqueduct.embedded.account import Account
from arqueduct.embedded.lock import Lock

__all__ = ["end", "free_port", "is_free", "open_log", "spawn", "tail"]

Result = TypeVar("Result")

MAX_LOG_BYTES = 10 * 2**20
"""A log this long is set aside at the next start, so that two such files are the most there is."""
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
"""What a server inherits of our environment: PG… would change its settings, and keys are none of its business."""


def spawn(
    command: Sequence[str | Path],
    *,
    account: Account,
    death_signal: signal.Signals,
    lock: Lock,
    output: int,
    stdin: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Starts a program as `account` in a session of its own, output to the file `output`, holding `lock`.

    The kernel sends it `death_signal` when this process dies (Linux). `stdin` must fit a pipe: at most 64 kB.
    """
    numbers = (os.getpid(), int(death_signal), account.uid, account.gid, lock.fileno())
    arguments = [sys.executable, "-I", "-S", guard.__file__, *map(str, numbers), *map(str, command)]
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}

    def fork() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",  # ours may be closed to the account
            env={"PATH": "/usr/bin:/bin", "TZ": "UTC"} | kept,
            pass_fds=[lock.fileno()],
            start_new_session=True,  # Ctrl-C in the terminal is for us: we stop the servers in order
        )

    process = _on_lasting_thread(fork)
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):  # it ended already, and its output says why
            process.stdin.write(stdin)
            process.stdin.close()
    return process


def end(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends one signal after the other, each with the seconds to wait for its effect, and at last SIGKILL."""
    for step, patience in steps:
        process.send_signal(step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return
    process.kill()
    process.wait()


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[int]:
    """Yields a file number to append to; a log that has grown long is renamed to `….1` first."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def tail(path: Path, start: int, lines: int = 12) -> str:
    """The last lines that were written from byte `start` on."""
    with path.open("rb") as file:
        file.seek(max(start, path.stat().st_size - 16_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_work: SimpleQueue[Callable[[], None]] = SimpleQueue()
_thread: threading.Thread | None = None
_thread_lock = threading.Lock()


def _on_lasting_thread(function: Callable[[], Result]) -> Result:
    """Runs the function on a thread that lives as long as this process.

    The parent whose death the kernel watches is the thread that forked, not the process: a server started from
    a pool's thread would be stopped as soon as the pool lets an idle thread go.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # raised again in the caller's thread
            future.set_exception(error)

    _ensure_thread()
    _work.put(work)
    return future.result()


def _ensure_thread() -> None:
    global _thread
    with _thread_lock:
        if _thread is None:
            _thread = threading.Thread(target=_serve, name="embedded-servers", daemon=True)
            _thread.start()


def _serve() -> None:
    while True:
        _work.get()()


def _forget_thread() -> None:
    """A forked copy of this process has none of its threads."""
    global _thread, _thread_lock, _work
    _thread, _thread_lock, _work = None, threading.Lock(), SimpleQueue()


os.register_at_fork(after_in_child=_forget_thread)
