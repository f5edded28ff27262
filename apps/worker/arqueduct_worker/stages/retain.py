"""Applies what a tenant says about how long it keeps things: some at a time, each batch a transaction with its report.

What is gone is not found again, so an attempt that comes later goes on where the last one stopped. A dry run asks
the same questions, and changes nothing but its report, which tells a later attempt where to go on.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from arqueduct import metrics
from arqueduct.database import Driver
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents, leftovers, originals, steering, upkeep
from arqueduct.repositories.retention import Position
from arqueduct.repositories.upkeep import Policy, Target
from arqueduct.storage.layout import everywhere, place_of, tenant_prefix
from arqueduct_worker import cold
from arqueduct_worker.janitor import TEXTS, Files, remove_texts
from arqueduct_worker.tally import Tally

__all__ = ["Retain"]

TOLD = "told"
"""Place of a step that a dry run is done with."""
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
            told = [_told(policy) for policy in policies]
            if is_dry and tally.fact("policies") != told:
                await tally.begin_anew(transaction, policies=told)
            else:
                await tally.put(transaction, policies=told)
        await (_foretell if is_dry else _apply)(context, tally, policies)


async def _apply(context: StageContext, tally: Tally, policies: list[Policy]) -> None:
    async with context.database.transaction(context.job.tenant_id) as transaction:
        tally.expect(sum([await _looked_at(transaction.driver, policy) for policy in policies]))
    for policy in policies:
        before = tally.rows(policy.target)
        await _STEPS[policy.target](context, tally, policy)
        metrics.retained.labels(policy.target).inc(tally.rows(policy.target) - before)


async def _looked_at(driver: Driver, policy: Policy) -> int:
    """How much a step looks at: what it means, but of texts all files."""
    if policy.target is Target.TEXTS:
        return await originals.count_files(driver)
    return await upkeep.count(driver, policy)


async def _foretell(context: StageContext, tally: Tally, policies: list[Policy]) -> None:
    """An attempt that comes later begins with the policy of which nothing is told, as nothing is changed."""
    left = [policy for policy in policies if tally.place(policy.target) != TOLD]
    async with context.database.transaction(context.job.tenant_id) as transaction:
        is_of_texts = any(policy.target is Target.TEXTS for policy in left)
        tally.expect(len(left) + (await originals.count_files(transaction.driver) if is_of_texts else 0))
    for policy in left:
        context.checkpoint()
        if policy.target is Target.TEXTS:
            await _foretell_texts(context, tally, policy)
        async with context.database.transaction(context.job.tenant_id) as transaction:
            if policy.target is not Target.TEXTS:
                found = await upkeep.expected(transaction.driver, policy)
                tally.note(policy.target, rows=found.rows, bytes=found.bytes, ids=found.sample)
            tally.reach(policy.target, TOLD)
            await tally.put(transaction)
        tally.passed(1)


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
        tally.passed(1)
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
        tally.passed(len(ids))
        for original in gone:
            await cold.drop(context.storage, original)


async def _texts(context: StageContext, tally: Tally, policy: Policy) -> None:
    tenant_id = context.job.tenant_id
    async for files in _old_texts(context, tally, policy):
        placed = list(files.items())
        for start in range(0, len(placed), TEXTS):
            some = dict(placed[start : start + TEXTS])
            sizes = await remove_texts(context.database, context.storage, tenant_id, some, spares_retries=False)
            if sizes:
                async with context.database.transaction(tenant_id) as transaction:
                    await tally.add(transaction, policy.target, rows=len(sizes), bytes=sum(sizes))


async def _foretell_texts(context: StageContext, tally: Tally, policy: Policy) -> None:
    if tally.place(policy.target) is None:
        tally.forget(policy.target)
    tally.note(policy.target, rows=0)
    async for files in _old_texts(context, tally, policy):
        async with context.database.transaction(context.job.tenant_id) as transaction:
            found = await leftovers.unneeded(transaction.driver, list(files), spares_retries=False)
        gone = [files[place] for place in found.texts]
        ids = [file.key for file in gone]
        tally.note(policy.target, rows=len(gone), bytes=sum(file.size for file in gone), ids=ids)


async def _old_texts(context: StageContext, tally: Tally, policy: Policy) -> AsyncIterator[Files]:
    """Texts in the storage that were written before the policy's days, a page of it at a time."""
    tenant_id = context.job.tenant_id
    async with context.database.transaction(tenant_id) as transaction:
        before: datetime = await transaction.driver.fetchval("SELECT now() - $1::interval", policy.age)
    async for page in tally.walk(policy.target, [tenant_prefix(tenant_id)]):
        placed = [(place_of(file.key), file) for file in page if file.modified < before]
        yield {place: file for place, file in placed if place is not None and place.recipe is not None}


async def _jobs(context: StageContext, tally: Tally, policy: Policy) -> None:
    position: Position | None = Position()
    while position is not None:
        context.checkpoint()
        async with context.database.transaction(context.job.tenant_id) as transaction:
            gone, position = await upkeep.prune_jobs(transaction.driver, policy, most=upkeep.JOBS, after=position)
            if gone:
                await tally.add(transaction, policy.target, rows=gone)
        tally.passed(gone)


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
