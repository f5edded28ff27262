"""The real program as a child of the tests: started, asked, killed."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from arqueduct.supervisor.environment import variables_of_servers

READY_SECONDS = 90
STOP_SECONDS = 60
MODELS = "models"


class Up:
    """`arqueduct up` on a free port, telling its events as JSON lines."""

    def __init__(self, data_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [*ARQUEDUCT, "up", "--json", "--port", "0", "--data-dir", data_dir, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=plain_environment(environment),
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """The next event of this name with these fields; fails with what the program said if it ends before."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            said = self._said.get(timeout=max(deadline - time.monotonic(), 0.01))
            if said is None:
                raise AssertionError(f"ended with {self.process.wait()}: {self.stderr()}")
            self.events.append(said)
            if said["event"] == event and fields.items() <= said.items():
                return said

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(STOP_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._listener.join(STOP_SECONDS)
        return status

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def runtime(self) -> dict[str, Any]:
        return read_json(self.data_dir / "runtime.json")

    def credentials(self) -> dict[str, Any]:
        return read_json(self.data_dir / "credentials.json")

    def family(self) -> list[psutil.Process]:
        """It and everything below it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._said.put(json.loads(line))
        self._said.put(None)


ARQUEDUCT = (sys.executable, "-P", "-m", "arqueduct.cli")


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without servers that somebody set and without the narrow screen of pytest-xdist; quick to stop, and used
    by programs that ask faster than people.
    """
    kept = {name: value for name, value in os.environ.items() if name not in {*variables_of_servers(), "COLUMNS"}}
    often = {f"ARQUEDUCT_{name}_PER_MINUTE": "100000" for name in ("REQUESTS", "UPLOADS", "SEARCHES", "STRANGERS")}
    return kept | often | {"ARQUEDUCT_SHUTDOWN_GRACE": "5", "ARQUEDUCT_EMBEDDER": "local"} | dict(extra or {})


@contextmanager
def up(data_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Ready to serve, and stopped at the end if it still runs."""
    started = Up(data_dir, *options, environment=environment)
    try:
        started.wait_for("ready")
        yield started
    finally:
        started.stop()


def arqueduct(
    *arguments: str | Path, check: bool = True, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """One command, to its end."""
    done = subprocess.run(
        [*ARQUEDUCT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=plain_environment(environment),
    )
    assert not check or done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def told(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    """The JSON lines on standard output."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def eventually(condition: Callable[[], Any], *, within: float = 30) -> Any:
    """Asks again until it holds; returns what it returned."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come to hold within {within} s"
        time.sleep(0.05)
    return found


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def lend_model(lender: Path, data_dir: Path) -> Path:
    """The prepared model of another data folder, which takes some seconds of both cores to make."""
    if (lender / MODELS).exists():
        shutil.copytree(lender / MODELS, data_dir / MODELS)
    return data_dir
