"""Sockets that tell of jobs: where they are, how they open, and when a silent one counts as dead."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import websockets.sync.client
from websockets.asyncio.client import ClientConnection, connect

from arqueduct.client.messages import HEARTBEAT_SECONDS, Said, said

__all__ = ["messages", "opening", "opening_blocking"]

PROTOCOL = "arqueduct.v1"
LARGEST_MESSAGE = 32 * 2**20
"""Bytes: the first message tells of up to 1,200 jobs."""
OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0
"""For the server's word of goodbye, which nobody needs."""
SILENCE = 2.5
"""Times the server's heartbeat; then the connection counts as dead, though nobody closed it."""


def opening(server: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> connect:
    """A connection to enter with `async with`."""
    return connect(_address(server, query), additional_headers=dict(headers or {}), **_options())


def opening_blocking(server: str, ticket: str, seconds: float) -> websockets.sync.client.ClientConnection:
    """A connection to enter with `with`. Raises `TimeoutError` when it takes longer than `seconds`."""
    options = {**_options(), "open_timeout": min(OPEN_SECONDS, seconds)}
    socket: websockets.sync.client.ClientConnection
    socket = websockets.sync.client.connect(_address(server, {"ticket": ticket}), **options)
    return socket


async def messages(socket: ClientConnection) -> AsyncIterator[Said]:
    """Until the connection ends. Raises `TimeoutError` when it says nothing for too long though it was asked."""
    silence = HEARTBEAT_SECONDS * SILENCE
    while True:
        heard = said(await _next(socket, silence))
        if heard.type == "hello":
            silence = heard.heartbeat_seconds * SILENCE
        yield heard


async def _next(socket: ClientConnection, silence: float) -> str | bytes:
    try:
        async with asyncio.timeout(silence / 2):
            return await socket.recv()
    except TimeoutError:
        await socket.send("ping")
    async with asyncio.timeout(silence / 2):
        return await socket.recv()


def _address(server: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(server)
    there = urlunsplit(parts._replace(scheme={"https": "wss"}.get(parts.scheme, "ws")))
    return f"{there}/api/v1/ws?{urlencode(query)}"


def _options() -> dict[str, Any]:
    return {
        "subprotocols": [PROTOCOL],
        "max_size": LARGEST_MESSAGE,
        "open_timeout": OPEN_SECONDS,
        "close_timeout": CLOSE_SECONDS,
    }
