"""Putting a document away, and bringing it back: what its row says. Its bytes follow; see `originals`."""

from collections.abc import Sequence
from uuid import UUID

from arqueduct.database import Driver
from arqueduct.errors import DocumentBusy, DocumentDeleted
from arqueduct.repositories.originals import MOVING, UNFINISHED
from arqueduct.repositories.statements import TOUCHED

__all__ = ["busy", "check_idle", "hide", "hide_all", "reveal"]


async def check_idle(driver: Driver, document_id: UUID, *, moving_too: bool = False) -> None:
    """Raises `DocumentBusy` if a job works on it, or will; `moving_too`: also one that archives or restores it."""
    other = "true" if moving_too else f"kind NOT IN {MOVING}"
    busy = await driver.fetchrow(
        f"SELECT id, kind FROM jobs WHERE document_id = $1 AND state IN {UNFINISHED} AND {other} LIMIT 1", document_id
    )
    if busy is not None:
        raise DocumentBusy(f"The job {busy['id']} ({busy['kind']}) of this document is not finished.")


async def busy(driver: Driver, document_ids: Sequence[UUID]) -> set[UUID]:
    """Those that any job works on, or will; also one that archives or restores them."""
    rows = await driver.fetch(
        f"SELECT DISTINCT document_id FROM jobs WHERE document_id = ANY ($1::uuid[]) AND state IN {UNFINISHED}",
        document_ids,
    )
    return {row["document_id"] for row in rows}


async def hide(driver: Driver, document_id: UUID) -> bool:
    """No search finds it from the commit on. False: so it was already.

    Raises `DocumentDeleted`, and `DocumentBusy` while it is being processed.
    """
    row = await driver.fetchrow(
        "SELECT archived_at FROM documents WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE", document_id
    )
    if row is None:
        raise DocumentDeleted
    if row["archived_at"] is not None:
        return False
    await check_idle(driver, document_id)
    await driver.execute(f"UPDATE documents SET archived_at = now(), {TOUCHED} WHERE id = $1", document_id)
    return True


async def hide_all(driver: Driver, document_ids: Sequence[UUID]) -> None:
    """The same for many that the caller holds, and knows to be idle."""
    await driver.execute(
        f"UPDATE documents SET archived_at = now(), {TOUCHED} WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL "
        "AND archived_at IS NULL",
        document_ids,
    )


async def reveal(driver: Driver, document_id: UUID) -> bool:
    """The reverse. False: it was not put away. Raises `DocumentDeleted`."""
    row = await driver.fetchrow(
        "SELECT archived_at FROM documents WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE", document_id
    )
    if row is None:
        raise DocumentDeleted
    if row["archived_at"] is None:
        return False
    await driver.execute(f"UPDATE documents SET archived_at = NULL, {TOUCHED} WHERE id = $1", document_id)
    return True
