"""Gains room in a tenant's storage without taking anything that anybody can still ask for.

It freezes originals that only archived documents have and that stayed hot; deletes texts that no document and no job
wants; deletes copies of bytes that no row names. On its way it measures what is there.
"""

from datetime import datetime, timedelta
from uuid import UUID

from arqueduct import metrics
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

FROZEN, STALE_TEXTS, STALE_COPIES = "frozen", "texts", "copies"
MEASURED = ("hot", "cold", "texts", "other")


class Optimise(Stage):
    """Counts items. The report tells under `targets` what was gained, and under `measured` what is there."""

    name = "optimise"
    label = "optimising"
    weight = 1

    async def run(self, context: StageContext) -> None:
        tally = await Tally.open(context)
        before = tally.done
        await _freeze(context, tally)
        await _sift(context, tally)
        metrics.retained.labels("optimised").inc(tally.done - before)


async def _freeze(context: StageContext, tally: Tally) -> None:
    last = UUID(int=0)
    while True:
        async with context.database.transaction(context.job.tenant_id) as transaction:
            some = await originals.resting(transaction.driver, after=last, most=SOME)
        if not some:
            return
        tally.expect(len(some))
        for seen in some:
            context.checkpoint()
            await _freeze_one(context, tally, seen)
        last = some[-1].id


async def _freeze_one(context: StageContext, tally: Tally, seen: Original) -> None:
    copy, size = await cold.freeze(context.storage, context.folder, seen, lambda _: None)
    async with context.database.transaction(context.job.tenant_id) as transaction:
        is_frozen = await originals.chill(transaction.driver, seen, copy, size)
        if is_frozen:
            await tally.add(transaction, FROZEN, rows=1, bytes=seen.size - size, ids=[seen.id])
    if is_frozen:
        await cold.drop(context.storage, seen)


async def _sift(context: StageContext, tally: Tally) -> None:
    """Looks at every file of the tenant once."""
    measured = {name: {"files": 0, "bytes": 0} for name in MEASURED}
    grace = timedelta(hours=context.settings.janitor_grace_hours)
    async with context.database.transaction(context.job.tenant_id) as transaction:
        before: datetime = await transaction.driver.fetchval("SELECT now() - $1::interval", grace)
    for root in everywhere(tenant_prefix(context.job.tenant_id)):
        async for page in context.storage.pages(root):
            context.checkpoint()
            gone = await _remove_stale(context, tally, page, before)
            for file in page:
                if file.key not in gone:
                    _measure(measured, place_of(file.key), file)
    async with context.database.transaction(context.job.tenant_id) as transaction:
        await tally.put(transaction, measured=measured)


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


def _measure(measured: dict[str, dict[str, int]], place: Place | None, file: StoredFile) -> None:
    if place is None:
        name = "other"
    elif place.recipe is not None:
        name = "texts"
    else:
        name = "cold" if place.is_cold else "hot"
    measured[name]["files"] += 1
    measured[name]["bytes"] += file.size
