"""Gains room in a tenant's storage without taking anything that anybody can still ask for.

It freezes originals that only archived documents have and that stayed hot; deletes texts that no document and no job
wants; deletes copies of bytes that no row names. On its way it measures what is there.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from arqueduct import metrics
from arqueduct.errors import ContentMismatch, NotFound
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import leftovers, originals
from arqueduct.repositories.originals import Original
from arqueduct.storage import StoredFile
from arqueduct.storage.layout import Place, everywhere, place_of, tenant_prefix
from arqueduct_worker import cold
from arqueduct_worker.janitor import TEXTS, Files, remove_texts
from arqueduct_worker.tally import Tally

__all__ = ["Optimise"]

SOME = 50
"""Originals that are looked up together."""

FROZEN, DAMAGED, STALE_TEXTS, STALE_COPIES = "frozen", "damaged", "texts", "copies"
GAINED = (FROZEN, STALE_TEXTS, STALE_COPIES)
SIFTED, MEASURING = "sifted", "measuring"
"""Places: the last file that was looked at, and what was measured up to it."""
MEASURED = ("hot", "cold", "texts", "other")

Measured = dict[str, dict[str, int]]

log = structlog.get_logger()


class Optimise(Stage):
    """Counts originals and files. The report tells under `targets` what was gained and which originals are `damaged`,
    and under `measured` what is there."""

    name = "optimise"
    label = "optimising"
    weight = 1

    async def run(self, context: StageContext) -> None:
        tally = await Tally.open(context)
        before = sum(map(tally.rows, GAINED))
        async with context.database.transaction(context.job.tenant_id) as transaction:
            resting = await originals.count_resting(transaction.driver, after=_frozen_up_to(tally))
            files = await originals.count_files(transaction.driver)
        tally.expect(resting + max(0, files - sum(entry["files"] for entry in _measured(tally).values())))
        await _freeze(context, tally)
        measured = await _sift(context, tally)
        async with context.database.transaction(context.job.tenant_id) as transaction:
            await tally.put(transaction, measured=measured)
        metrics.retained.labels("optimised").inc(sum(map(tally.rows, GAINED)) - before)


async def _freeze(context: StageContext, tally: Tally) -> None:
    while True:
        async with context.database.transaction(context.job.tenant_id) as transaction:
            some = await originals.resting(transaction.driver, after=_frozen_up_to(tally), most=SOME)
        if not some:
            return
        for seen in some:
            context.checkpoint()
            await _freeze_one(context, tally, seen)
            tally.passed(1)


def _frozen_up_to(tally: Tally) -> UUID:
    return UUID(tally.place(FROZEN) or str(UUID(int=0)))


async def _freeze_one(context: StageContext, tally: Tally, seen: Original) -> None:
    try:
        copy, size = await cold.freeze(context.storage, context.folder, seen, lambda _: None)
    except (ContentMismatch, NotFound) as error:
        await _leave(context, tally, seen, error)
        return
    async with context.database.transaction(context.job.tenant_id) as transaction:
        is_frozen = await originals.chill(transaction.driver, seen, copy, size)
        if is_frozen:
            tally.note(FROZEN, rows=1, bytes=seen.size - size, ids=[seen.id])
        tally.reach(FROZEN, str(seen.id))
        await tally.put(transaction)
    if is_frozen:
        await cold.drop(context.storage, seen)


async def _leave(context: StageContext, tally: Tally, seen: Original, error: Exception) -> None:
    """An original whose file is not what was uploaded stays as it is, and is told; one is no reason to leave all."""
    async with context.database.transaction(context.job.tenant_id) as transaction:
        is_damaged = await originals.find(transaction.driver, seen.id) == seen  # else it was deleted or moved meanwhile
        if is_damaged:
            log.error("original is damaged", blob=str(seen.id), key=seen.key, error=str(error))
            tally.note(DAMAGED, rows=1, ids=[seen.id])
        tally.reach(FROZEN, str(seen.id))
        await tally.put(transaction)


async def _sift(context: StageContext, tally: Tally) -> Measured:
    """Looks at every file of the tenant once."""
    measured = _measured(tally)
    grace = timedelta(hours=context.settings.janitor_grace_hours)
    async with context.database.transaction(context.job.tenant_id) as transaction:
        before: datetime = await transaction.driver.fetchval("SELECT now() - $1::interval", grace)
    async for page in tally.walk(SIFTED, everywhere(tenant_prefix(context.job.tenant_id))):
        gone = await _remove_stale(context, tally, page, before)
        for file in page:
            if file.key not in gone:
                _measure(measured, place_of(file.key), file)
        if context.storage.is_in_order:
            tally.reach(MEASURING, measured)
    return measured


def _measured(tally: Tally) -> Measured:
    """By earlier attempts, up to where they got."""
    return tally.place(MEASURING) or {name: {"files": 0, "bytes": 0} for name in MEASURED}


async def _remove_stale(context: StageContext, tally: Tally, page: list[StoredFile], before: datetime) -> set[str]:
    """What nobody needs of these files, and is so old that nobody is about to; returns the keys."""
    tenant_id = context.job.tenant_id
    old: Files = {place: file for file in page if file.modified < before and (place := place_of(file.key)) is not None}
    async with context.database.transaction(tenant_id) as transaction:
        found = await leftovers.unneeded(transaction.driver, list(old))
    copies = [old[place] for place in found.orphans]
    if copies:
        await context.storage.delete([file.key for file in copies])
        async with context.database.transaction(tenant_id) as transaction:
            await tally.add(transaction, STALE_COPIES, rows=len(copies), bytes=sum(file.size for file in copies))
    for start in range(0, len(found.texts), TEXTS):
        some = {place: old[place] for place in found.texts[start : start + TEXTS]}
        sizes = await remove_texts(context.database, context.storage, tenant_id, some)
        async with context.database.transaction(tenant_id) as transaction:
            await tally.add(transaction, STALE_TEXTS, rows=len(sizes), bytes=sum(sizes))
    return {file.key for file in copies} | {old[place].key for place in found.texts}


def _measure(measured: Measured, place: Place | None, file: StoredFile) -> None:
    if place is None:
        name = "other"
    elif place.recipe is not None:
        name = "texts"
    else:
        name = "cold" if place.is_cold else "hot"
    measured[name]["files"] += 1
    measured[name]["bytes"] += file.size
