"""Brings the bytes of an archived document back to where they are read from, checked against their checksum."""

from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import originals
from arqueduct_worker import cold

__all__ = ["SEEN", "THAWED", "Thaw"]

SEEN, THAWED = "original", "copy"
"""Among the facts: what `reveal` has to know."""


class Thaw(Stage):
    """Counts bytes."""

    name = "thaw"
    label = "thawing"
    weight = 0.95

    async def run(self, context: StageContext) -> None:
        async with context.database.transaction(context.job.tenant_id) as transaction:
            seen = await originals.of_document(transaction.driver, context.subject.document_id)
        context.facts[SEEN], context.facts[THAWED] = seen, None
        if seen.place == "cold":
            context.facts[THAWED] = await cold.thaw(
                context.storage,
                context.folder,
                seen,
                lambda done: context.progress(done, seen.cold_size or 0, "bytes"),
            )
