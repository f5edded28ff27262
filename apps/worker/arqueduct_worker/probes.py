"""A worker's own little HTTP server: /metrics for Prometheus, /livez for whoever restarts it.

Thirty lines instead of a framework: the worker needs no FastAPI.
"""

import asyncio
from collections.abc import Callable

from arqueduct import metrics

__all__ = ["Probes"]

REQUEST_SECONDS = 5
LONGEST_REQUEST = 8192


class Probes:
    """Serves on 127.0.0.1, or on every address inside a container."""

    def __init__(self, *, host: str, port: int, is_alive: Callable[[], bool]) -> None:
        self._host = host
        self._port = port
        self._is_alive = is_alive
        self._server: asyncio.Server | None = None

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
        if path == b"/metrics":
            return "200 OK", metrics.CONTENT_TYPE, metrics.render()
        if path == b"/livez":
            alive = self._is_alive()
            return (
                ("200 OK", "text/plain", b"ok") if alive else ("503 Service Unavailable", "text/plain", b"no heartbeat")
            )
        return "404 Not Found", "text/plain", b"/metrics or /livez"
