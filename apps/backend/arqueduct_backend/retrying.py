"""What stands against trying a job again, apart from its state: who asks, its document, jobs that came since."""

from collections.abc import Sequence
from uuid import UUID

from arqueduct.database import Driver, Transaction
from arqueduct.errors import IllegalTransition, NotFound
from arqueduct.identity import Identity
from arqueduct.lifecycle import Action
from arqueduct.models import Job
from arqueduct.permissions import Permission, check
from arqueduct.repositories import originals, parents, steering, upkeep
from arqueduct.repositories.steering import Hindered, JobFilter

__all__ = ["check_children", "check_job"]

SHOWN = 5


async def check_job(transaction: Transaction, caller: Identity, job: Job, *, is_there: bool) -> None:
    """Of one that is locked, after its document; `is_there`: that was not deleted.

    Raises `IllegalTransition`, `DocumentArchived`, `OriginalRemoved`; of a run of upkeep `Forbidden`, `UpkeepUnderWay`.
    """
    if job.kind in upkeep.KINDS:  # as beginning one
        check(caller.permissions, Permission.UPKEEP_WRITE)
        await upkeep.again(transaction.driver, job.tenant_id, job.id)
    if job.document_id is None:
        return
    if not is_there:
        raise IllegalTransition("The document of this job was deleted; upload it again.", state=job.state)
    if job.kind not in (originals.ARCHIVE, originals.RESTORE):
        await originals.readable(transaction.driver, job.document_id)
    if newer := await steering.newer(transaction.driver, job.id):
        raise IllegalTransition(
            f"The document of this job was given a newer one since: {newer}.",
            advice="Retry the newer job, or process the document again with a batch.",
            state=job.state,
        )


async def check_children(driver: Driver, job: Job, wanted: JobFilter, *, is_choice: bool) -> None:
    """Of a parent. Raises `NotFound` for named jobs that are not its children, and `IllegalTransition` where none of
    those that are meant can be tried again, but for a choice that names none."""
    if wanted.ids is not None:
        await _check_named(driver, job.id, wanted.ids)
    if (is_choice and wanted.ids is None) or await steering.remaining(driver, Action.RETRY, wanted):
        return
    raise IllegalTransition(
        f"Nothing of it can be tried again. {_why(await steering.hindered(driver, wanted))}.",
        advice="Restore what is archived, or process the documents again with a new run or a batch.",
        state=job.state,
    )


async def _check_named(driver: Driver, parent_id: UUID, ids: Sequence[UUID]) -> None:
    if missing := set(ids) - await parents.children_among(driver, parent_id, ids):
        some = ", ".join(sorted(map(str, missing))[:SHOWN])
        raise NotFound(f"{len(missing):,} of these jobs are not of this project or batch: {some}.")


def _why(found: Hindered) -> str:
    reasons = (
        ("deleted", found.deleted),
        ("archived", found.archived),
        ("given a newer job since", found.newer),
    )
    told = ", ".join(f"{reason}: {count:,}" for reason, count in reasons if count)
    if not told:
        return "None of it failed, and what was cancelled is meant only with `with_cancelled`"
    return f"Of its documents were {told}"
