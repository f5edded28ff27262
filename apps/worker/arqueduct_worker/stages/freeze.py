"""Moves the bytes of an archived document to where they cost less, and ends the job.

First the copy, then the row, then the deletion: whenever this dies, the row names a file that is there.
"""

from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import originals
from arqueduct.repositories.originals import Original
from arqueduct_worker import cold

__all__ = ["Freeze"]


class Freeze(Stage):
    """Counts bytes. Bytes that another document has, which is not archived, stay where they are."""

    name = "freeze"
    label = "freezing"
    weight = 0.95

    async def run(self, context: StageContext) -> None:
        seen = await _seen(context)
        if seen is None:
            return
        copy, size = await cold.freeze(
            context.storage, context.folder, seen, lambda done: context.progress(done, seen.size, "bytes")
        )
        async with context.completion() as transaction:
            is_frozen = await originals.chill(transaction.driver, seen, copy, size)
        if is_frozen:
            await cold.drop(context.storage, seen)


async def _seen(context: StageContext) -> Original | None:
    """None: there is nothing to freeze."""
    async with context.database.transaction(context.job.tenant_id) as transaction:
        seen = await originals.of_document(transaction.driver, context.subject.document_id)
        if seen.place != "hot" or await originals.is_wanted(transaction.driver, seen.id):
            return None
    return seen
