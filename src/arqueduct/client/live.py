"""Jobs as they happen, over a socket that comes back by itself.

    async for job in Live("http://127.0.0.1:8000", api_key="aq_…"):
        print(job.document_name, job.stage, f"{job.progress:.0%}")

Each (re)connection begins with the state of every job that matters, and older states are dropped by their `seq`: what
comes is never older than what came before, and nothing that ended is missed.
"""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from arqueduct.client import sockets
from arqueduct.client.calls import base_url, bearer
from arqueduct.client.clients import AsyncClient
from arqueduct.client.errors import APIError, UnreachableError
from arqueduct.client.messages import JobMessage
from arqueduct.client.models import Job

__all__ = ["Live"]

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Between two tries: doubled each time, and drawn at random below that, so that a thousand clients do not come back
at once."""
MOST_KNOWN = 10_000
"""Jobs whose last `seq` is remembered."""
FINAL_CODES = {4401: "not_authenticated", 4403: "forbidden"}
"""Closes that coming again does not mend."""

log = logging.getLogger(__name__)


class Live:
    """An endless iterator of job states. Raises `APIError` when the server says that this key may not listen."""

    def __init__(self, url: str, api_key: str | httpx.Auth) -> None:
        """With a `SignIn` each connection is opened by a ticket of its own, and again when its token is over.

        Raises `BadURLError`.
        """
        self._server = base_url(url)
        self._api_key = api_key
        self._headers = {"Authorization": bearer(api_key)} if isinstance(api_key, str) else {}
        self._known: OrderedDict[UUID, int] = OrderedDict()
        self._connection: str | None = None
        """The server's name for the last connection: it frees what that one still holds."""
        self._tries = 0
        """Since the last connection that was let in."""
        self.reconnects = 0

    async def wait_for(self, job_id: UUID | str, *, timeout: float | None = None) -> Job:
        """The job once it has ended, as `AsyncClient.wait` has it; what iterates over this object misses nothing."""
        async with AsyncClient(self._server, self._api_key) as api:
            return await api.wait(job_id, timeout=timeout)

    async def __aiter__(self) -> AsyncIterator[JobMessage]:
        while True:
            try:
                async with await self._connect() as socket:
                    async for heard in sockets.messages(socket):
                        if heard.type == "hello":
                            self._connection = heard.connection_id
                            self._tries = 0
                        for job in filter(self._is_news, heard.jobs):
                            yield job
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    raise APIError(error.response.status_code, _problem(error.response.body)) from error
                self._lost(error)
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd else 0
                if code in FINAL_CODES and isinstance(self._api_key, str):
                    status, reason = code - 4000, error.rcvd.reason if error.rcvd else ""
                    raise APIError(status, {"code": FINAL_CODES[code], "detail": reason}) from error
                self._lost(error)
            except APIError as error:
                if error.status in (401, 403):
                    raise
                self._lost(error)
            except (OSError, TimeoutError, WebSocketException, UnreachableError) as error:
                self._lost(error)
            await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries)))  # noqa: S311  # spreads load
            self._tries += 1
            self.reconnects += 1

    def _lost(self, error: Exception) -> None:
        """Said once for each time that the server is away."""
        level = logging.DEBUG if self._tries else logging.WARNING
        log.log(level, "No live updates from %s: %s. Trying again.", self._server, error or type(error).__name__)

    async def _connect(self) -> connect:
        query = {"resume": self._connection} if self._connection else {}
        if not isinstance(self._api_key, str):
            async with AsyncClient(self._server, self._api_key) as api:
                query["ticket"] = (await api.create_ticket()).ticket
        return sockets.opening(self._server, query, self._headers)

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
