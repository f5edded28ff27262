"""Waiting until a job has ended: a socket tells of the end, and asking now and then finds what the socket missed."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from uuid import UUID

import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from arqueduct.client import sockets
from arqueduct.client.calls import TRY_AGAIN
from arqueduct.client.errors import APIError, ClientError, UnreachableError, WaitTimeoutError
from arqueduct.client.messages import ENDED, Said, said
from arqueduct.client.models import Job
from arqueduct.client.operations import AsyncOperations, Operations

__all__ = ["wait", "wait_blocking"]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two questions, and between two tries to open the socket: doubled each time. A socket that works
tells of the end at once; jobs that it does not tell of (those of others, deliveries) are found by asking."""
LEAST_SHARE = 0.5
"""Of a pause; the rest is drawn at random, so that many who wait do not ask at once."""
LOST = (OSError, TimeoutError, WebSocketException, msgspec.DecodeError, ClientError)


async def wait(api: AsyncOperations, job_id: UUID | str, timeout: float | None) -> Job:
    """The job in its final state, within `timeout` seconds. Raises `WaitTimeoutError`, and as `get_job` does."""
    wanted, told, pauses = UUID(str(job_id)), None, _pauses()
    ear: asyncio.Task[bool] | None = None
    try:
        async with asyncio.timeout(timeout):
            while True:
                told = await _ask(api, wanted, told)
                if told.state in ENDED:
                    return told
                if ear is None or ear.done():
                    ear = asyncio.create_task(_hears_the_end(api, wanted))
                pause = next(pauses)
                done, _ = await asyncio.wait({ear}, timeout=pause)
                if done and not ear.result():
                    await asyncio.sleep(pause)
    except TimeoutError:
        raise WaitTimeoutError(wanted, timeout or 0, told) from None
    finally:
        if ear is not None:
            ear.cancel()
            await asyncio.gather(ear, return_exceptions=True)


def wait_blocking(api: Operations, job_id: UUID | str, timeout: float | None) -> Job:
    """As `wait`; a question that is under way when the time is up is still answered."""
    wanted, told, pauses = UUID(str(job_id)), None, _pauses()
    end = None if timeout is None else time.monotonic() + timeout
    with _Ear(api, wanted) as ear:
        while True:
            told = _ask_blocking(api, wanted, told)
            if told.state in ENDED:
                return told
            left = next(pauses) if end is None else min(next(pauses), end - time.monotonic())
            if left <= 0:
                raise WaitTimeoutError(wanted, timeout or 0, told)
            ear.listen(left)


def _pauses() -> Iterator[float]:
    for times in count():
        most = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(times, 16))
        yield random.uniform(LEAST_SHARE * most, most)  # noqa: S311  # spreads load


async def _ask(api: AsyncOperations, job_id: UUID, before: Job | None) -> Job:
    try:
        return await api.get_job(job_id)
    except ClientError as error:
        return _stands(error, before)


def _ask_blocking(api: Operations, job_id: UUID, before: Job | None) -> Job:
    try:
        return api.get_job(job_id)
    except ClientError as error:
        return _stands(error, before)


def _stands(error: ClientError, before: Job | None) -> Job:
    """What was told before, while the server is away: the first question has to be answered, later ones may fail."""
    passes = isinstance(error, UnreachableError) or (isinstance(error, APIError) and error.status in TRY_AGAIN)
    if before is None or not passes:
        raise error
    return before


async def _hears_the_end(api: AsyncOperations, job_id: UUID) -> bool:
    """Over one connection; False when that ends first."""
    try:
        ticket = (await api.create_ticket()).ticket
        async with sockets.opening(api.url, {"ticket": ticket}) as socket:
            async for heard in sockets.messages(socket):
                if _is_the_end(heard, job_id):
                    return True
    except LOST:
        pass
    return False


class _Ear:
    """A socket of a thread that waits; opened when it listens, and again after it was lost."""

    def __init__(self, api: Operations, job_id: UUID) -> None:
        self._api = api
        self._job_id = job_id
        self._held = ExitStack()
        self._socket: ClientConnection | None = None

    def listen(self, seconds: float) -> None:
        """Returns when the job has ended, or after `seconds`."""
        until = time.monotonic() + seconds
        try:
            if self._socket is None:
                self._socket = self._opened(seconds)
            while (left := until - time.monotonic()) > 0:
                if _is_the_end(said(self._socket.recv(timeout=left)), self._job_id):
                    return
        except TimeoutError:
            return
        except LOST:
            self._close()
            time.sleep(max(0.0, until - time.monotonic()))

    def _opened(self, seconds: float) -> ClientConnection:
        ticket = self._api.create_ticket().ticket
        return self._held.enter_context(sockets.opening_blocking(self._api.url, ticket, seconds))

    def _close(self) -> None:
        self._socket = None
        self._held.close()

    def __enter__(self) -> "_Ear":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def _is_the_end(heard: Said, job_id: UUID) -> bool:
    return any(job.job_id == job_id and job.has_ended for job in heard.jobs)
