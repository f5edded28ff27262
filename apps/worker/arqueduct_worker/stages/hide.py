"""Takes a document out of search."""

from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import archive, jobs

__all__ = ["Hide"]


class Hide(Stage):
    """Raises `DocumentBusy`, to be tried again, while the document is being processed."""

    name = "hide"
    label = "hiding"
    weight = 0.05

    async def run(self, context: StageContext) -> None:
        async with context.database.transaction(context.job.tenant_id) as transaction:
            await archive.hide(transaction.driver, context.subject.document_id)
            await jobs.hold(transaction.driver, context.job.job_id, context.job.attempt)
