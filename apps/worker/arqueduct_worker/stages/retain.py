"""Applies what a tenant says about how long it keeps things: some at a time, each batch a transaction with its report.

What is gone is not found again, so an attempt that comes later goes on where the last one stopped. A dry run asks
the same questions, and changes nothing but its report.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from arqueduct import metrics
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents, leftovers, originals, steering, upkeep
from arqueduct.repositories.retention import Position
from arqueduct.repositories.upkeep import Found, Policy, Target
from arqueduct.storage.layout import everywhere, place_of, tenant_prefix
from arqueduct_worker import cold
from arqueduct_worker.janitor import TEXTS, Files, remove_texts
from arqueduct_worker.tally import Tally

__all__ = ["Retain"]

ORIGINALS = 100
"""Of one batch: some tens of milliseconds."""


class Retain(Stage):
    """Counts items."""

    name = "retain"
    label = "cleaning up"
    weight = 1

    async def run(self, context: StageContext) -> None:
        is_dry = context.job.payload.get("dry_run") is not False
        tally = await Tally.open(context)
        async with context.database.transaction(context.job.tenant_id) as transaction:
            policies = await upkeep.policies(transaction.driver, only_enabled=not is_dry)
            await tally.put(transaction, policies=[_told(policy) for policy in policies])
        if is_dry:
            await _foretell(context, tally, policies)
        else:
            await _apply(context, tally, policies)


async def _apply(context: StageContext, tally: Tally, policies: list[Policy]) -> None:
    async with context.database.transaction(context.job.tenant_id) as transaction:
        known = [policy for policy in policies if policy.target is not Target.TEXTS]
        tally.expect(sum([await upkeep.count(transaction.driver, policy) for policy in known]))
    for policy in policies:
        before = tally.done
        await _STEPS[policy.target](context, tally, policy)
        metrics.retained.labels(policy.target).inc(tally.done - before)


async def _foretell(context: StageContext, tally: Tally, policies: list[Policy]) -> None:
    """An attempt begins its count anew: nothing was changed."""
    async with context.database.transaction(context.job.tenant_id) as transaction:
        await tally.put(transaction, targets={})
    for policy in policies:
        context.checkpoint()
        async with context.database.transaction(context.job.tenant_id) as transaction:
            is_of_texts = policy.target is Target.TEXTS
            found = Found() if is_of_texts else await upkeep.expected(transaction.driver, policy)
            await tally.add(transaction, policy.target, rows=found.rows, bytes=found.bytes, ids=found.sample)
        if is_of_texts:
            await _foretell_texts(context, tally, policy)


async def _documents(context: StageContext, tally: Tally, policy: Policy) -> None:
    """One by one, as if a user deleted them."""
    tenant_id = context.job.tenant_id
    position = upkeep.OLDEST
    while True:
        context.checkpoint()
        async with context.database.transaction(tenant_id) as transaction:
            found = await upkeep.old_documents(transaction.driver, policy, most=1, after=position)
            if not found:
                return
            position = upkeep.place_of(found[-1])
            document_id: UUID = found[0]["id"]
            await documents.mark_deleted(transaction, document_id)
            await steering.cancel_of_document(transaction.driver, document_id)
            original = await originals.find(transaction.driver, found[0]["blob_id"])
            await tally.add(transaction, policy.target, rows=1, ids=[document_id])
        async with context.database.transaction(tenant_id) as transaction:  # if this fails, the sweeper does it
            prefix = await documents.purge(transaction, document_id)
            if prefix is not None and original is not None:
                freed = original.cold_size or original.size
                await tally.add(transaction, policy.target, rows=0, bytes=freed)
        if prefix is not None:
            for place in everywhere(prefix):
                await context.storage.delete_prefix(place)


async def _originals(context: StageContext, tally: Tally, policy: Policy) -> None:
    position = upkeep.OLDEST
    while True:
        context.checkpoint()
        async with context.database.transaction(context.job.tenant_id) as transaction:
            found = await upkeep.old_documents(transaction.driver, policy, most=ORIGINALS, after=position)
            if not found:
                return
            position = upkeep.place_of(found[-1])
            ids = [row["id"] for row in found]
            await upkeep.without_original(transaction.driver, ids)
            gone = await originals.remove_unwanted(transaction.driver, [row["blob_id"] for row in found])
            freed = sum(original.cold_size or original.size for original in gone)
            await tally.add(transaction, policy.target, rows=len(ids), bytes=freed, ids=ids)
        for original in gone:
            await cold.drop(context.storage, original)


async def _texts(context: StageContext, tally: Tally, policy: Policy) -> None:
    tenant_id = context.job.tenant_id
    async for files in _old_texts(context, policy):
        context.checkpoint()
        sizes = await remove_texts(context.database, context.storage, tenant_id, files, spares_retries=False)
        if sizes:
            async with context.database.transaction(tenant_id) as transaction:
                await tally.add(transaction, policy.target, rows=len(sizes), bytes=sum(sizes))


async def _foretell_texts(context: StageContext, tally: Tally, policy: Policy) -> None:
    async for files in _old_texts(context, policy):
        context.checkpoint()
        async with context.database.transaction(context.job.tenant_id) as transaction:
            found = await leftovers.unneeded(transaction.driver, list(files), spares_retries=False)
            gone = [files[place] for place in found.texts]
            sizes = [file.size for file in gone]
            keys = [file.key for file in gone]
            await tally.add(transaction, policy.target, rows=len(sizes), bytes=sum(sizes), ids=keys)


async def _old_texts(context: StageContext, policy: Policy) -> AsyncIterator[Files]:
    """Texts in the storage that were written before the policy's days, as many as are deleted at a time."""
    async with context.database.transaction(context.job.tenant_id) as transaction:
        before: datetime = await transaction.driver.fetchval("SELECT now() - $1::interval", policy.age)
    async for page in context.storage.pages(tenant_prefix(context.job.tenant_id)):
        placed = [(place_of(file.key), file) for file in page if file.modified < before]
        texts = [(place, file) for place, file in placed if place is not None and place.recipe is not None]
        for start in range(0, len(texts), TEXTS):
            yield dict(texts[start : start + TEXTS])


async def _jobs(context: StageContext, tally: Tally, policy: Policy) -> None:
    position: Position | None = Position()
    while position is not None:
        context.checkpoint()
        async with context.database.transaction(context.job.tenant_id) as transaction:
            gone, position = await upkeep.prune_jobs(transaction.driver, policy, most=upkeep.JOBS, after=position)
            if gone:
                await tally.add(transaction, policy.target, rows=gone)


_STEPS = {
    Target.DOCUMENTS: _documents,
    Target.ORIGINALS: _originals,
    Target.TEXTS: _texts,
    Target.JOBS: _jobs,
}


def _told(policy: Policy) -> dict[str, object]:
    return {
        "target": policy.target,
        "days": policy.days,
        "states": list(policy.states),
        "content_types": list(policy.content_types),
        "is_enabled": policy.is_enabled,
    }
