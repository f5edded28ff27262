"""Takes files to the server and follows each to its end."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arqueduct.cli.client import Body, Client
from arqueduct.cli.feed import Feed, Progress, following
from arqueduct.cli.found_files import readable
from arqueduct.errors import ArqueductError, InvalidRequest, NotAuthenticated, SetupError
from arqueduct.lifecycle import JobState

__all__ = ["Item", "Summary", "View", "carry", "summarise"]

UPLOADS_AT_ONCE = 4
"""Enough to keep a disk and a network busy; more only lengthens each one's way."""

DETAILED = 100
"""Of so many documents we ask what was found in them; of thousands nobody reads it."""


@dataclass(eq=False, kw_only=True)
class Item:
    """One file on its way. `document` and `job` are set once the server has it, and `name` is then the one it keeps."""

    name: str
    path: Path | None = None
    """`None` for a job that is only watched."""
    document: Body | None = None
    job_id: str | None = None
    progress: Progress | None = None
    error: ArqueductError | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def is_good(self) -> bool:
        """Accepted, and completed as far as it was waited for."""
        if self.ended is None or self.progress is None:
            return self.error is None
        return self.progress.state is JobState.COMPLETED

    @property
    def took(self) -> float:
        return (self.ended or time.monotonic()) - self.began


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How it went. `queued`: accepted, and not waited for."""

    documents: int
    completed: int
    failed: int
    cancelled: int
    refused: int
    queued: int
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.completed + self.queued == self.documents


class View(Protocol):
    """Shows what happens; called in the order of events."""

    def begin(self, items: Sequence[Item]) -> None: ...
    def uploading(self, item: Item) -> None: ...
    def refused(self, item: Item) -> None: ...
    def accepted(self, item: Item) -> None: ...
    def moved(self, item: Item) -> None: ...
    def ended(self, item: Item) -> None: ...
    def finish(self, summary: Summary) -> None: ...


async def carry(
    client: Client, paths: Sequence[Path], view: View, *, wait: bool = True, priority: str | None = None
) -> list[Item]:
    """Uploads all, a few at a time, and with `wait` follows each to its end.

    A file that the server refuses ends only itself. Raises `SetupError` or `NotAuthenticated` when no file can go.
    """
    began = time.monotonic()
    items = [Item(name=readable(path.name), path=path) for path in paths]
    watched: dict[str, Item] = {}

    def hear(progress: Progress) -> None:
        item = watched.get(progress.job_id)
        if item is not None and item.ended is None:
            item.progress = progress
            view.moved(item)

    await client.check()
    view.begin(items)
    try:
        async with following(client, hear) as feed, asyncio.TaskGroup() as group:
            ends = _Ends(group, client, feed, view, watched) if wait else None
            waiting = iter(items)
            for _ in range(min(UPLOADS_AT_ONCE, len(items))):
                group.create_task(_carry(client, waiting, view, ends, priority))
    except ExceptionGroup as failures:
        raise _first(failures) from None
    view.finish(summarise(items, time.monotonic() - began))
    return items


class _Ends:
    """Waits for the ends of jobs, however many there are."""

    def __init__(
        self, group: asyncio.TaskGroup, client: Client, feed: Feed, view: View, watched: dict[str, Item]
    ) -> None:
        self._group = group
        self._client = client
        self._feed = feed
        self._view = view
        self._watched = watched

    def follow(self, item: Item, job_id: str) -> None:
        self._watched[job_id] = item
        self._group.create_task(self._follow(item, job_id))

    async def _follow(self, item: Item, job_id: str) -> None:
        item.progress = await self._feed.end_of(job_id)
        item.ended = time.monotonic()
        if item.document is not None and len(self._watched) <= DETAILED:
            with suppress(ArqueductError):  # it may be deleted already; its numbers are only an extra
                item.document = await self._client.get(f"/documents/{item.document['id']}")
        self._view.ended(item)


async def _carry(client: Client, items: Iterator[Item], view: View, ends: _Ends | None, priority: str | None) -> None:
    for item in items:
        if item.path is None:
            continue
        item.began = time.monotonic()
        view.uploading(item)
        try:
            accepted = await client.upload(item.path, item.name, priority)
        except (SetupError, NotAuthenticated):
            raise
        except (ArqueductError, OSError) as error:
            item.error = error if isinstance(error, ArqueductError) else _unreadable(error)
            item.ended = time.monotonic()
            view.refused(item)
        else:
            item.document, item.job_id = accepted["document"], accepted["job"]["id"]
            item.name = accepted["document"]["name"]
            view.accepted(item)
            if ends is not None:
                ends.follow(item, accepted["job"]["id"])


def _first(failures: "BaseExceptionGroup[BaseException]") -> BaseException:
    """Of several that ended everything one says enough: it is the same server."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _unreadable(error: OSError) -> ArqueductError:
    return InvalidRequest(f"The file cannot be read: {error.strerror or error}.")


def summarise(items: Sequence[Item], seconds: float) -> Summary:
    states = [item.progress.state for item in items if item.progress and item.ended]
    return Summary(
        documents=len(items),
        completed=states.count(JobState.COMPLETED),
        failed=states.count(JobState.FAILED),
        cancelled=states.count(JobState.CANCELLED),
        refused=sum(item.error is not None for item in items),
        queued=sum(item.job_id is not None and item.ended is None for item in items),
        seconds=seconds,
    )
