"""Lets searches find a document again, and ends the job; from the commit on its bytes are the thawed ones."""

from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import archive, originals
from arqueduct_worker import cold
from arqueduct_worker.stages.thaw import SEEN, THAWED

__all__ = ["Reveal"]


class Reveal(Stage):
    """Raises `OriginalAway`, to be tried again, if the bytes were frozen since they were looked at."""

    name = "reveal"
    label = "revealing"
    weight = 0.05

    async def run(self, context: StageContext) -> None:
        seen = context.facts[SEEN]
        async with context.completion() as transaction:
            await archive.reveal(transaction.driver, context.subject.document_id)
            is_moved = await originals.warm(transaction.driver, seen, context.facts[THAWED])
        if is_moved:
            await cold.drop(context.storage, seen)
