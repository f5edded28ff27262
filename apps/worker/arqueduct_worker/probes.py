"""A worker's own little HTTP server: /metrics for Prometheus, /livez for whoever restarts it, /readyz for who asks why.

Thirty lines instead of a framework: the worker needs no FastAPI.
"""

import asyncio

import msgspec

from arqueduct import metrics
from arqueduct_worker.deliveries import AnyWorker
from arqueduct_worker.services import Services

__all__ = ["Probes"]

OK = "200 OK"
UNAVAILABLE = "503 Service Unavailable"
REQUEST_SECONDS = 5
LONGEST_REQUEST = 8192


DEPENDENCIES = ("database", "redis")
"""Without them a worker is not ready, and `arqueduct_dependency_up` is 0."""

Check = dict[str, object]
"""`ok` and `detail`."""


class Probes:
    """Serves on 127.0.0.1, or on every address inside a container; from the start, which may wait for Postgres."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._opened: tuple[Services, AnyWorker] | None = None
        self._missing: str | None = None

    def waits(self, missing: str) -> None:
        """The worker cannot start yet, for want of Postgres."""
        self._missing = missing

    def opened(self, services: Services, worker: AnyWorker) -> None:
        """From now on these tell how the process does."""
        self._opened = (services, worker)

    async def start(self) -> int:
        """Begins to serve; returns the port."""
        self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=LONGEST_REQUEST)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = self._page(request.split(b" ", 2)[1])
                head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
                writer.write(head.encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (OSError, TimeoutError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or asked nonsense
        finally:
            writer.close()

    def _page(self, path: bytes) -> tuple[str, str, bytes]:
        checks = _checks(*self._opened) if self._opened else _starting(self._missing)
        for name in checks.keys() & DEPENDENCIES:
            metrics.dependency_up.labels(name).set(bool(checks[name]["ok"]))
        if admission := checks.get("admission"):
            metrics.admitting.set(bool(admission["ok"]))
        if path == b"/metrics":
            return OK, metrics.CONTENT_TYPE, metrics.render()
        if path == b"/livez":
            # Servers that are away are no reason to restart a worker: it goes on when they are back.
            return OK, "text/plain", b"ok"
        if path == b"/readyz":
            # Every process admits for all: one that cannot still runs what others admit.
            is_ready = all(check["ok"] for name, check in checks.items() if name != "admission")
            answer = {"status": "ready" if is_ready else "not ready", "checks": checks}
            return OK if is_ready else UNAVAILABLE, "application/json", msgspec.json.encode(answer)
        return "404 Not Found", "text/plain", b"/metrics, /livez or /readyz"


def _starting(missing: str | None) -> dict[str, Check]:
    """Of a process that has not opened everything yet; `missing`: what it waits for, if it is Postgres."""
    checks: dict[str, Check] = {"start": {"ok": False, "detail": "not everything is open yet"}}
    return checks if missing is None else checks | {"database": {"ok": False, "detail": missing}}


def _checks(services: Services, worker: AnyWorker) -> dict[str, Check]:
    leases, refused = services.leases, services.admitter.error
    database = leases.silent_for < 2 * services.settings.heartbeat
    redis = worker.is_connected
    return {
        "database": {
            "ok": database,
            "detail": "answers" if database else f"Postgres gave no answer for {leases.silent_for:.0f} s.",
        },
        "redis": {"ok": redis, "detail": "answers" if redis else "Redis is away; running jobs go on."},
        "admission": {
            "ok": refused is None,
            "detail": f"This process puts no jobs on the run-way: {refused}" if refused else "the last look worked",
        },
    }
