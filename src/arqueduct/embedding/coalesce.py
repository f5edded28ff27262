"""Many small calls into few full requests.

Jobs embed a slice at a time, and a provider charges its latency for each request. Calls that come within a few
milliseconds of each other therefore share requests; a text that several calls want is bought once.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from arqueduct.embedding import Embedder, Vectors
from arqueduct.errors import DependencyUnavailable, EmbeddingRejected, PermanentError

__all__ = ["CoalescingEmbedder"]

WAIT = timedelta(milliseconds=5)
"""How long a text waits for company: well under the 100 ms and more of a request."""

PATIENCE = 0.5
"""Of the time that requests take: so long a text waits while one is under way, to share the next with more others. When
the last returns, whoever waits goes at once."""
LONGEST_WAIT = 0.5
"""Seconds, however slow the model is."""
NEWEST = 0.2
"""Weight of the newest request in the time that requests take."""


class _Want:
    """A text that calls wait for, from the first call until its vector has come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.vector: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self.calls: set[object] = set()


class CoalescingEmbedder:
    """Wraps any embedder; see `Embedder`.

    A request that the provider refuses for good is taken apart by caller, so that one job's bad text fails that job
    only. A cancelled call takes back its texts as long as they wait, and never those that another call wants too.
    Queries go straight through.
    """

    def __init__(self, inner: Embedder, *, requests: int, wait: timedelta = WAIT) -> None:
        self.model = inner.model
        self.batch = inner.batch
        self._inner = inner
        self._free = requests
        self._wait = wait.total_seconds()
        self._wants: dict[str, _Want] = {}
        self._queue: dict[str, _Want] = {}  # those of _wants that are in no request yet, first come first
        self._timer: asyncio.TimerHandle | None = None
        self._usual = 0.0
        """Seconds of a request."""
        self._requests: set[asyncio.Task[None]] = set()
        self._closed = False

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        if self._closed:
            raise DependencyUnavailable("The embedder is closed.")
        if not texts:
            return np.empty((0, self.model.dimensions), np.float32)
        call = object()
        wants = [self._want(text, call) for text in texts]
        self._arrange()
        try:
            await asyncio.wait({want.vector for want in wants}, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for want in wants:
                self._leave(want, call)
        for want in wants:
            if want.vector.done() and (error := want.vector.exception()):
                raise error
        return np.stack([want.vector.result() for want in wants])

    async def embed_query(self, text: str) -> Vectors:
        """See `Embedder.embed_query`."""
        return await self._inner.embed_query(text)

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for task in self._requests:
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        self._fail(list(self._wants.values()), DependencyUnavailable("The embedder was closed."))
        await self._inner.aclose()

    def _want(self, text: str, call: object) -> _Want:
        want = self._wants.get(text)
        if want is None:
            want = self._wants[text] = self._queue[text] = _Want(text)
        want.calls.add(call)
        return want

    def _leave(self, want: _Want, call: object) -> None:
        want.calls.discard(call)
        if not want.calls and self._queue.get(want.text) is want:
            del self._queue[want.text], self._wants[want.text]

    def _arrange(self) -> None:
        """Sends full requests at once, and what is left when its wait is over; a request needs a free slot."""
        if self._closed:
            return
        while self._free and len(self._queue) >= self.batch:
            self._send()
        if self._free and self._queue and self._timer is None:
            patience = min(PATIENCE * self._usual, LONGEST_WAIT) if self._requests else 0.0
            wait = max(self._wait, patience)
            self._timer = asyncio.get_running_loop().call_later(wait, self._wait_is_over)

    def _wait_is_over(self) -> None:
        self._timer = None
        if self._free and self._queue:
            self._send()
        self._arrange()

    def _send(self) -> None:
        wants = [self._queue.pop(text) for text in list(self._queue)[: self.batch]]
        self._free -= 1
        task = asyncio.create_task(self._buy(wants))
        self._requests.add(task)
        task.add_done_callback(self._returned)

    def _returned(self, task: "asyncio.Task[None]") -> None:
        self._requests.discard(task)
        self._free += 1
        if self._queue and not self._requests and not self._closed:
            if self._timer:
                self._timer.cancel()
            self._wait_is_over()
        else:
            self._arrange()

    def _learn(self, seconds: float) -> None:
        self._usual += NEWEST * (seconds - self._usual) if self._usual else seconds

    async def _buy(self, wants: list[_Want]) -> None:
        began = time.monotonic()
        try:
            vectors = await self._inner.embed([want.text for want in wants])
            if len(vectors) != len(wants):
                raise EmbeddingRejected(f"{self.model.name} answered {len(wants)} texts with {len(vectors)} vectors.")
        except PermanentError as error:
            groups = _by_calls(wants)
            self._fail(groups.pop(frozenset(), []), error)  # their calls have gone
            for group in groups.values():
                if len(groups) == 1:
                    self._fail(group, error)
                else:
                    await self._buy(group)
        except Exception as error:
            self._fail(wants, error)
        else:
            self._learn(time.monotonic() - began)
            for want, vector in zip(wants, vectors, strict=True):
                del self._wants[want.text]
                want.vector.set_result(vector)

    def _fail(self, wants: list[_Want], error: Exception) -> None:
        for want in wants:
            del self._wants[want.text]
            self._queue.pop(want.text, None)
            want.vector.set_exception(error)
            want.vector.exception()  # seen: each call raises it itself, and there may be no call left


def _by_calls(wants: list[_Want]) -> dict[frozenset[object], list[_Want]]:
    """Texts that exactly the same calls want; they stand or fall together."""
    groups: dict[frozenset[object], list[_Want]] = {}
    for want in wants:
        groups.setdefault(frozenset(want.calls), []).append(want)
    return groups
