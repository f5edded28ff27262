"""The newest state of jobs, as the socket tells it; read over HTTP where the socket is silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import WebSocketException

from arqueduct.cli.client import Client
from arqueduct.cli.server import Server
from arqueduct.errors import ArqueductError, NotAuthenticated, NotFound
from arqueduct.lifecycle import FINAL, JobState

__all__ = ["Feed", "Progress", "following", "open_socket"]

LARGEST_MESSAGE = 32 * 2**20
"""A snapshot tells of up to 1,200 jobs."""
OPEN_SECONDS = 5.0
SILENT_SECONDS = 5.0
"""A job that the socket said nothing about for so long is asked for; a large document may well be silent."""
LOOK_SECONDS = 1.0
ASKED_AT_ONCE = 20
RECONNECT_SECONDS = (0.1, 5.0)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says about one job; `GET /jobs/{id}` says the same."""

    job_id: str
    state: JobState
    stage: str
    progress: float
    seq: int
    parent_id: str | None = None
    message: str | None = None
    details: dict[str, Any] = {}
    eta_seconds: int | None = None
    eta_range: list[int] | None = None
    error: dict[str, Any] | None = None
    document_id: str | None = None
    document_name: str | None = None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


class _Head(msgspec.Struct):
    type: str


class _Snapshot(msgspec.Struct):
    jobs: list[Progress]


_head = msgspec.json.Decoder(_Head)
_one = msgspec.json.Decoder(Progress)
_snapshot = msgspec.json.Decoder(_Snapshot)

Listener = Callable[[Progress], None]


def open_socket(server: Server) -> connect_socket:
    """A connection that is told what happens to the caller's jobs."""
    return connect_socket(
        server.socket_url,
        additional_headers={"Authorization": f"Bearer {server.api_key}"},
        proxy=None if server.is_local else True,
        compression=None,
        max_size=LARGEST_MESSAGE,
        open_timeout=OPEN_SECONDS,
        close_timeout=1,
        create_connection=ClientConnection,
    )


class Feed:
    """Keeps the newest state of every job it hears of; older ones (by `seq`) are dropped."""

    def __init__(self, client: Client, listener: Listener) -> None:
        self._client = client
        self._listener = listener
        self._newest: dict[str, Progress] = {}
        self._heard: dict[str, float] = {}
        self._ends: dict[str, asyncio.Future[Progress]] = {}
        self.open = asyncio.Event()
        """Set while the socket is open and has sent its snapshot."""

    def end_of(self, job_id: str) -> "asyncio.Future[Progress]":
        """Is done when the job is."""
        end = self._ends.get(job_id)
        if end is None:
            end = self._ends[job_id] = asyncio.get_running_loop().create_future()
            self._heard[job_id] = time.monotonic()
            if known := self._newest.get(job_id):
                self._listener(known)
                self._settle(known)
        return end

    def hear(self, progress: Progress) -> None:
        self._heard[progress.job_id] = time.monotonic()
        known = self._newest.get(progress.job_id)
        if known is not None and known.seq >= progress.seq:
            return
        self._newest[progress.job_id] = progress
        self._listener(progress)
        self._settle(progress)

    def _settle(self, progress: Progress) -> None:
        end = self._ends.get(progress.job_id)
        if end is not None and progress.is_final and not end.done():
            end.set_result(progress)

    async def listen(self) -> None:
        """Opens the socket again and again, for as long as the task lives."""
        least, most = RECONNECT_SECONDS
        pause = least
        while True:
            try:
                async with open_socket(self._client.server) as socket:
                    pause = least
                    async for text in socket:
                        self._take(text)
            except (OSError, TimeoutError, WebSocketException):
                pass  # the other way goes on, see `ask`
            finally:
                self.open.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, most)

    async def ask(self) -> None:
        """Reads watched jobs that nothing was heard of lately, for as long as the task lives."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            patience = SILENT_SECONDS if self.open.is_set() else LOOK_SECONDS / 2
            overdue = time.monotonic() - patience
            waiting = [job_id for job_id, end in self._ends.items() if not end.done() and self._heard[job_id] < overdue]
            waiting.sort(key=self._heard.__getitem__)
            await asyncio.gather(*map(self._ask, waiting[:ASKED_AT_ONCE]))

    def _take(self, text: str | bytes) -> None:
        kind = _head.decode(text).type
        if kind == "snapshot":
            for progress in _snapshot.decode(text).jobs:
                self.hear(progress)
            self.open.set()
        elif kind.startswith("job_") or kind == "batch_progress":
            self.hear(_one.decode(text))

    async def _ask(self, job_id: str) -> None:
        try:
            job = await self._client.get(f"/jobs/{job_id}")
        except NotFound:
            self._settle(Progress(job_id=job_id, state=JobState.CANCELLED, stage="cancelled", progress=0, seq=0))
        except NotAuthenticated as error:
            self._ends[job_id].set_exception(error)
        except ArqueductError:
            return  # the server is away; the next round asks again
        else:
            self.hear(msgspec.convert({"job_id": job["id"], **job}, Progress))


@asynccontextmanager
async def following(client: Client, listener: Listener) -> AsyncIterator[Feed]:
    """A feed for as long as the block lasts. Waits a moment for the socket, so that no early stage is missed."""
    feed = Feed(client, listener)
    tasks = [asyncio.create_task(feed.listen()), asyncio.create_task(feed.ask())]
    try:
        opened = asyncio.create_task(feed.open.wait())
        await asyncio.wait({opened}, timeout=OPEN_SECONDS)
        opened.cancel()
        yield feed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
