"""Valkey (or Redis), as a child of this process."""

import signal
import socket
from pathlib import Path
from typing import ClassVar

from arqueduct.embedded.binaries import find_valkey
from arqueduct.embedded.home import borrow
from arqueduct.embedded.server import EmbeddedServer, Launch

__all__ = ["EmbeddedValkey"]

USER = "default"
NOTHING = '""'
SETTINGS = {
    "bind": "127.0.0.1",
    "appendonly": "yes",
    "appendfsync": "everysec",  # a lost second of wake-ups is found again by the sweeper
    "save": "",  # the append-only file holds everything already
    "maxmemory-policy": "noeviction",  # a queue that silently drops entries is none
}


class EmbeddedValkey(EmbeddedServer):
    """`folder` is <data-dir>/valkey."""

    name = "Valkey"
    stop_steps: ClassVar = [(signal.SIGTERM, 10.0)]
    _executable: Path

    def url(self) -> str:
        return f"redis://:{self.password(USER)}@127.0.0.1:{self.port}/0"

    def _prepare(self, launch: Launch) -> None:
        program = find_valkey()
        self._executable = borrow(program.bundle, program.executable, program.executable, launch.home.account)
        if not launch.home.data.exists():
            launch.home.give_folder(launch.home.data)

    def _launch(self, launch: Launch) -> None:
        """The configuration goes in by standard input: the password shows in no process list and no second file."""
        settings = SETTINGS | {"port": str(launch.port)} | dict(self.settings)
        settings |= {"dir": f'"{launch.home.data}"', "requirepass": self.password(USER)}
        lines = "".join(f"{name} {value or NOTHING}\n" for name, value in settings.items())
        launch.spawn([self._executable, "-"], stdin=lines.encode())

    def _ready(self, launch: Launch) -> bool:
        """Asks with the password, so that a stranger on the port is not taken for ours; false while data is loaded."""
        try:
            with socket.create_connection(("127.0.0.1", launch.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password(USER)}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answer:
                    return answer.read().startswith(b"+OK\r\n+PONG")
        except OSError:
            return False
