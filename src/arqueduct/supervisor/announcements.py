"""Where workers serve their metrics: each picks a port and writes it into a small file."""

from collections.abc import Collection
from pathlib import Path

import msgspec

__all__ = ["Announcements"]


class _Announcement(msgspec.Struct):
    pid: int
    metrics_port: int


class Announcements:
    """Of the workers that live: `worker-<pid>.json` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.urls: list[str] = []

    def look(self, pids: Collection[int]) -> bool:
        """Reads the files of these processes, and removes those of others. Whether `urls` changed."""
        before = self.urls
        found = {int(path.stem.partition("-")[2] or 0): path for path in self._folder.glob("worker-*.json")}
        for pid in found.keys() - set(pids):
            found.pop(pid).unlink(missing_ok=True)
        ports = [port for pid in sorted(found) if (port := _port(found[pid])) is not None]
        self.urls = [f"http://127.0.0.1:{port}/metrics" for port in ports]
        return self.urls != before


def _port(path: Path) -> int | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Announcement).metrics_port
    except (OSError, msgspec.DecodeError):  # not written to its end yet
        return None
