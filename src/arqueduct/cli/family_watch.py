"""A project or a batch that is under way, followed to its end: over the socket, and by asking where that is silent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import msgspec

from arqueduct.cli.client import Body, Client
from arqueduct.cli.family import Kin, look
from arqueduct.cli.feed import Progress, following
from arqueduct.lifecycle import JobState

__all__ = ["Failed", "FamilyView", "Watched", "watch_family"]

MOST_CURRENT = 5
"""Running children that are shown; a parent's message names as many."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """One child."""

    name: str
    job_id: str
    error: Body

    @property
    def said(self) -> str:
        """Why, and what to do."""
        return f"failed: {self.error.get('message') or ''} {self.error.get('advice') or ''}".rstrip()


class FamilyView(Protocol):
    """Shows what happens; called in the order of events, `close` in every case."""

    def begin(self, found: Body) -> None: ...
    def listening(self, is_live: Callable[[], bool]) -> None: ...
    def moved(self, parent: Progress) -> None: ...
    def failed(self, child: Failed) -> None: ...
    def finish(self, found: Body) -> None: ...
    def close(self) -> None: ...


class Watched:
    """The newest of a parent, those of its children that run, and which failures were told."""

    def __init__(self, job_id: str, view: FamilyView) -> None:
        self._job_id = job_id
        self._view = view
        self._parent: Progress | None = None
        self._current: dict[str, Body] = {}
        self._told: set[str] = set()

    def hear(self, progress: Progress) -> None:
        """Of any job; others are nothing to us."""
        if progress.job_id == self._job_id:
            self._parent = progress
            current = progress.details.get("current", [])
            self._current = {} if progress.is_final else {str(one["document_id"]): one for one in current}
        elif progress.parent_id == self._job_id:
            self._hear_child(progress)
        else:
            return
        if self._parent is not None:
            details = {**self._parent.details, "current": list(self._current.values())}
            self._view.moved(msgspec.structs.replace(self._parent, details=details))

    def fail(self, child: Failed) -> None:
        """Once, however often it is heard of."""
        if child.job_id not in self._told:
            self._told.add(child.job_id)
            self._view.failed(child)

    def _hear_child(self, child: Progress) -> None:
        """Sooner than the parent's next message, which comes once a second."""
        document = str(child.document_id)
        if child.state is not JobState.RUNNING:
            self._current.pop(document, None)
        elif document in self._current or len(self._current) < MOST_CURRENT:
            names = ("document_id", "document_name", "stage", "progress")
            self._current[document] = {name: getattr(child, name) for name in names}
        if child.state is JobState.FAILED:
            self.fail(Failed(name=child.document_name or "", job_id=child.job_id, error=child.error or {}))
        elif child.state is not JobState.CANCELLED:
            self._told.discard(child.job_id)  # it is tried again, and may fail again


async def watch_family(client: Client, kin: Kin, family_id: UUID | str, view: FamilyView) -> bool:
    """Whether all of it completed. Raises `NotFound`."""
    found = await look(client, kin, family_id, limit=1)
    watched = Watched(found["job_id"], view)
    view.begin(found)
    try:
        async with following(client, watched.hear) as feed:
            view.listening(feed.open.is_set)
            try:
                await feed.end_of(found["job_id"])
            finally:
                view.listening(lambda: True)  # what is closed now was not lost
        found = await look(client, kin, family_id, limit=1)
        for child in found["failed"]:
            name = child["path"] or child["name"] or ""
            watched.fail(Failed(name=name, job_id=child["job_id"], error=child["error"] or {}))
        view.finish(found)
    finally:
        view.close()
    return bool(found["state"] == JobState.COMPLETED)
