"""Takes files to the server and follows each to its end."""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arqueduct.cli.client import Body, Client
from arqueduct.cli.feed import Feed, Progress, following
from arqueduct.errors import ArqueductError, DependencyUnavailable, NotAuthenticated, SetupError
from arqueduct.lifecycle import JobState

__all__ = ["Item", "Summary", "View", "carry", "find_files"]

UPLOADS_AT_ONCE = 4
"""Enough to keep a disk and a network busy; more only lengthens each one's way."""


@dataclass(eq=False, kw_only=True)
class Item:
    """One file on its way. `document` and `job` are set once the server has it."""

    path: Path
    document: Body | None = None
    job_id: str | None = None
    progress: Progress | None = None
    error: ArqueductError | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def name(self) -> str:
        return self.path.name

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


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and those below folders, sorted; nothing whose name begins with a dot is looked at there."""
    found = {path.resolve(): path for given in paths for path in _below(given)}
    return list(found.values())


def _below(given: Path) -> Iterator[Path]:
    if not given.is_dir():
        yield given
        return
    for folder, folders, files in os.walk(given):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


async def carry(client: Client, paths: Sequence[Path], view: View, *, wait: bool = True) -> list[Item]:
    """Uploads all, a few at a time, and with `wait` follows each to its end.

    A file that the server refuses ends only itself. Raises `SetupError` or `NotAuthenticated` when no file can go.
    """
    began = time.monotonic()
    items = [Item(path=path) for path in paths]
    watched: dict[str, Item] = {}

    def hear(progress: Progress) -> None:
        item = watched.get(progress.job_id)
        if item is not None and item.ended is None:
            item.progress = progress
            view.moved(item)

    view.begin(items)
    async with following(client, hear) as feed:
        waiting = iter(items)
        async with asyncio.TaskGroup() as group:
            ends = _Ends(group, feed, view, watched) if wait else None
            for _ in range(min(UPLOADS_AT_ONCE, len(items))):
                group.create_task(_carry(client, waiting, view, ends))
    view.finish(_summary(items, time.monotonic() - began))
    return items


class _Ends:
    """Waits for the ends of jobs, however many there are."""

    def __init__(self, group: asyncio.TaskGroup, feed: Feed, view: View, watched: dict[str, Item]) -> None:
        self._group = group
        self._feed = feed
        self._view = view
        self._watched = watched

    def follow(self, item: Item, job_id: str) -> None:
        self._watched[job_id] = item
        self._group.create_task(self._follow(item, job_id))

    async def _follow(self, item: Item, job_id: str) -> None:
        item.progress = await self._feed.end_of(job_id)
        item.ended = time.monotonic()
        self._view.ended(item)


async def _carry(client: Client, items: Iterator[Item], view: View, ends: _Ends | None) -> None:
    for item in items:
        item.began = time.monotonic()
        view.uploading(item)
        try:
            accepted = await client.upload(item.path, item.name)
        except (SetupError, NotAuthenticated, DependencyUnavailable):
            raise
        except (ArqueductError, OSError) as error:
            item.error = error if isinstance(error, ArqueductError) else _unreadable(error)
            item.ended = time.monotonic()
            view.refused(item)
        else:
            item.document, item.job_id = accepted["document"], accepted["job"]["id"]
            view.accepted(item)
            if ends is not None:
                ends.follow(item, accepted["job"]["id"])


def _unreadable(error: OSError) -> ArqueductError:
    return SetupError(f"The file cannot be read: {error.strerror or error}.")


def _summary(items: Sequence[Item], seconds: float) -> Summary:
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
