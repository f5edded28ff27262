"""Deletes files from the storage that nobody needs: bytes of uploads that were never committed, what deletions left,
texts of losing attempts and of older recipes, halves of files.

Why nothing is hit that somebody needs:

- A file is left alone until it is `janitor_grace_hours` old. An upload commits its row seconds after its bytes, and
  an attempt ends long before, so neither is met on its way. Time is Postgres' against the storage's: an hour, the
  least grace, is more than their clocks differ.
- A blob's id is made for one upload and never again: once the row is gone, or did not come, it does not come back. So
  it is with the name of a file of its bytes: once the row names another, or none, it does not come back.
- An upload of bytes that are there already brings a new job to an old blob, and that job may take an old text. So a
  text is deleted while its blob's row is held, after one more look: the upload waits for that row (`add_blob`), and
  its job then extracts anew. Whatever else gives an old blob a new job has to hold its row, too.
- A retry takes old texts as well; so those of jobs that can be retried stay.
- Keys that are not ours, and tenants that this database does not know, are never touched: a worker that was pointed
  to a wrong database finds no file of its own.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from arqueduct import metrics
from arqueduct.database import Database
from arqueduct.errors import DependencyUnavailable
from arqueduct.repositories import chores, leftovers
from arqueduct.repositories.chores import Chore
from arqueduct.storage import Storage, StoredFile
from arqueduct.storage.layout import ROOTS, Place, place_of
from arqueduct_worker.services import Services

__all__ = ["TEXTS", "Files", "Janitor", "remove_texts"]

log = structlog.get_logger()

ASK_SECONDS = 600
"""Between two looks whether the storage is due; the first comes within that time, at random."""

SILENCE = timedelta(hours=1)
"""After which a search is begun anew whose worker was stopped, or met an error; a page takes seconds."""

TEXTS = 200
"""Deleted while their blobs are held: some tenths of a second."""

HOLD_SECONDS = 20
"""Less than Postgres lets a transaction be idle, so that no blob is let go while its texts are being deleted."""

PAUSE_SECONDS = 0.05
"""Between two pages: those who serve go first."""

Files = dict[Place, StoredFile]


async def remove_texts(
    database: Database, storage: Storage, tenant_id: UUID, files: Files, *, spares_retries: bool = True
) -> list[int]:
    """Deletes those of these texts that nobody needs, at most `TEXTS`, while no upload can come to need them; returns
    the sizes. Raises `DependencyUnavailable` if the storage takes too long for that."""
    async with database.transaction(tenant_id) as transaction:
        held = await leftovers.lock_blobs(transaction.driver, [place.blob_id for place in files])
        wanted = [place for place in files if place.blob_id in held]
        found = await leftovers.unneeded(transaction.driver, wanted, spares_retries=spares_retries)
        gone = [files[place] for place in found.texts]
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                if gone:
                    await storage.delete([file.key for file in gone])
        except TimeoutError as error:
            raise DependencyUnavailable("The storage takes too long to delete.") from error
    return [file.size for file in gone]


class Janitor:
    """Cleans the storage, for all tenants."""

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._every = timedelta(hours=settings.janitor_hours)
        self._grace = timedelta(hours=settings.janitor_grace_hours)

    async def run(self) -> None:
        """Cleans for as long as the process lives, if it is to."""
        while True:
            await asyncio.sleep(ASK_SECONDS * random.random())  # noqa: S311  # spreads load
            try:
                await self.clean()
            except DependencyUnavailable as error:
                log.warning("storage not cleaned", error=str(error))
            except Exception:
                log.exception("storage not cleaned")

    async def clean(self) -> bool:
        """Looks at every file once. False: it is not due, another worker is at it, or it is switched off."""
        if not self._every:
            return False
        database = self._services.database
        async with database.transaction() as transaction:
            now = await chores.begin(transaction.driver, Chore.CLEAN_STORAGE, every=self._every, silence=SILENCE)
        if now is None:
            return False
        await Search(self._services, now - self._grace).run()
        async with database.transaction() as transaction:
            await chores.done(transaction.driver, Chore.CLEAN_STORAGE)
        return True


class Search:
    """One walk through the storage, a page in memory at a time."""

    def __init__(self, services: Services, before: datetime) -> None:
        self._services = services
        self._before = before
        self._removed: Counter[str] = Counter()
        self._bytes = 0
        self._looked = 0
        self._foreign: Counter[str] = Counter()
        self._example = ""

    async def run(self) -> None:
        began = time.monotonic()
        for root in ROOTS:
            async for page in self._services.storage.pages(root):
                await self._look(page)
                await asyncio.sleep(PAUSE_SECONDS)
        self._count("half", await self._services.storage.delete_halves(self._before))
        if self._foreign:
            log.warning("files that are not ours were left alone", **self._foreign, example=self._example)
        log.info(
            "storage cleaned",
            files=self._looked,
            removed=dict(self._removed),
            bytes=self._bytes,
            took=round(time.monotonic() - began, 1),
        )

    async def _look(self, page: Sequence[StoredFile]) -> None:
        async with self._services.database.transaction() as transaction:
            await chores.still_at_it(transaction.driver, Chore.CLEAN_STORAGE)
        self._looked += len(page)
        of_tenants: defaultdict[UUID, Files] = defaultdict(dict)
        for file in page:
            if (place := place_of(file.key)) is None:
                self._leave("unknown_keys", [file])
            elif file.modified < self._before:
                of_tenants[place.tenant_id][place] = file
        for tenant_id, files in of_tenants.items():
            await self._sift(tenant_id, files)

    async def _sift(self, tenant_id: UUID, files: Files) -> None:
        async with self._services.database.transaction(tenant_id) as transaction:
            if not await leftovers.is_known(transaction.driver, tenant_id):
                self._leave("unknown_tenants", list(files.values()))
                return
            found = await leftovers.unneeded(transaction.driver, list(files))
        await self._remove("orphan", [files[place] for place in found.orphans])
        for start in range(0, len(found.texts), TEXTS):
            await self._remove_texts(tenant_id, {place: files[place] for place in found.texts[start : start + TEXTS]})

    async def _remove_texts(self, tenant_id: UUID, files: Files) -> None:
        services = self._services
        self._count("text", await remove_texts(services.database, services.storage, tenant_id, files))

    async def _remove(self, what: str, files: Sequence[StoredFile]) -> None:
        if files:
            await self._services.storage.delete([file.key for file in files])
            self._count(what, [file.size for file in files])

    def _count(self, what: str, sizes: Sequence[int]) -> None:
        self._removed[what] += len(sizes)
        self._bytes += sum(sizes)
        metrics.janitor_removed.labels(what).inc(len(sizes))
        metrics.janitor_removed_bytes.labels(what).inc(sum(sizes))

    def _leave(self, why: str, files: Sequence[StoredFile]) -> None:
        self._foreign[why] += len(files)
        self._example = self._example or files[0].key
