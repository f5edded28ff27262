"""Jobs as they happen, over a socket that comes back by itself.

    async for job in Live("http://127.0.0.1:8000", api_key="aq_…"):
        print(job.document_name, job.stage, f"{job.progress:.0%}")

Each (re)connection begins with the state of every job that matters, and older states are dropped by their `seq`: what
comes is never older than what came before, and nothing that ended is missed.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from arqueduct.client.calls import APIError, base_url
from arqueduct.client.operations import AsyncOperations
from arqueduct.events import JobMessage

__all__ = ["Live"]

PROTOCOL = "arqueduct.v1"
LARGEST_MESSAGE = 32 * 2**20
"""Bytes: the first message tells of up to 1,200 jobs."""
OPEN_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Between two tries: doubled each time, and drawn at random below that, so that a thousand clients do not come back
at once."""
SILENCE = 2.5
"""Times the server's heartbeat; then the connection counts as dead, though nobody closed it."""
MOST_KNOWN = 10_000
"""Jobs whose last `seq` is remembered."""
FINAL_CODES = {4401: "not_authenticated", 4403: "forbidden"}
"""Closes that coming again does not mend."""


class _Head(msgspec.Struct):
    type: str
    heartbeat_seconds: float = 20.0
    connection_id: str | None = None
    jobs: list[JobMessage] = []


_head = msgspec.json.Decoder(_Head)
_job = msgspec.json.Decoder(JobMessage)


class Live:
    """An endless iterator of job states. Raises `APIError` when the server says that this key may not listen."""

    def __init__(self, url: str, api_key: str | httpx.Auth) -> None:
        """With a `SignIn` each connection is opened by a ticket of its own, and again when its token is over."""
        self._server = base_url(url)
        parts = urlsplit(self._server)
        self._url = urlunsplit(parts._replace(scheme={"https": "wss"}.get(parts.scheme, "ws"))) + "/api/v1/ws"
        self._api_key = api_key
        self._known: OrderedDict[UUID, int] = OrderedDict()
        self._connection: str | None = None
        """The server's name for the last connection: it frees what that one still holds."""
        self._tries = 0
        """Since the last connection that was let in."""
        self.reconnects = 0

    async def __aiter__(self) -> AsyncIterator[JobMessage]:
        while True:
            try:
                async with await self._connect() as socket:
                    async for job in self._listen(socket):
                        yield job
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    raise APIError(error.response.status_code, _problem(error.response.body)) from error
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd else 0
                if code in FINAL_CODES and isinstance(self._api_key, str):
                    status, reason = code - 4000, error.rcvd.reason if error.rcvd else ""
                    raise APIError(status, {"code": FINAL_CODES[code], "detail": reason}) from error
            except APIError as error:
                if error.status in (401, 403):
                    raise
            except (OSError, TimeoutError, WebSocketException, httpx.TransportError):
                pass
            await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries)))  # noqa: S311  # spreads load
            self._tries += 1
            self.reconnects += 1

    async def _connect(self) -> connect:
        query, headers = {"resume": self._connection} if self._connection else {}, {}
        if isinstance(self._api_key, str):
            headers["Authorization"] = f"Bearer {self._api_key}"
        else:
            async with AsyncOperations(self._server, self._api_key) as api:
                query["ticket"] = (await api.create_ticket()).ticket
        return connect(
            f"{self._url}?{urlencode(query)}",
            additional_headers=headers,
            subprotocols=[PROTOCOL],  # type: ignore[list-item]  # a NewType of str that is not exported
            max_size=LARGEST_MESSAGE,
            open_timeout=OPEN_SECONDS,
            close_timeout=1,
        )

    async def _listen(self, socket: ClientConnection) -> AsyncIterator[JobMessage]:
        """Until the connection ends, or says nothing for too long though it was asked. Raises `TimeoutError`."""
        silence = _Head(type="").heartbeat_seconds * SILENCE
        while True:
            text = await self._next(socket, silence)
            if text == "pong":
                continue
            head = _head.decode(text)
            if head.type == "hello":
                silence = head.heartbeat_seconds * SILENCE
                self._connection = head.connection_id
                self._tries = 0
            found = [_job.decode(text)] if head.type.startswith("job_") else head.jobs
            for job in found:
                if self._is_news(job):
                    yield job

    async def _next(self, socket: ClientConnection, silence: float) -> str | bytes:
        try:
            async with asyncio.timeout(silence / 2):
                return await socket.recv()
        except TimeoutError:
            await socket.send("ping")
        async with asyncio.timeout(silence / 2):
            return await socket.recv()

    def _is_news(self, job: JobMessage) -> bool:
        if job.seq <= self._known.get(job.job_id, -1):
            return False
        self._known[job.job_id] = job.seq
        self._known.move_to_end(job.job_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return True


def _problem(body: bytes | bytearray | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
