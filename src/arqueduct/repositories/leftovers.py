"""Which files of a tenant nobody needs, by its rows. Each takes a transaction of that tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from arqueduct.database import Driver
from arqueduct.storage.layout import Place

__all__ = ["Unneeded", "is_known", "lock_blobs", "unneeded"]

_UNNEEDED = """
    SELECT f.nth - 1 AS nth, b.id IS NULL AS is_orphan
    FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS f(blob_id, recipe, nth)
    LEFT JOIN blobs b ON b.id = f.blob_id
    WHERE b.id IS NULL OR (
        f.recipe IS NOT NULL AND NOT EXISTS (
            SELECT FROM documents d WHERE d.blob_id = b.id AND d.deleted_at IS NULL AND (
                d.text_recipe = f.recipe
                OR EXISTS (SELECT FROM jobs j WHERE j.document_id = d.id AND j.state <> 'completed')
            )
        )
    )
"""


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """Files that may go."""

    orphans: list[Place]
    """Their blob is not there."""
    texts: list[Place]
    """Their blob is there, but no document of it wants this text."""


async def is_known(driver: Driver, tenant_id: UUID) -> bool:
    """Whether this database has the tenant at all."""
    return bool(await driver.fetchval("SELECT EXISTS (SELECT FROM tenants WHERE id = $1)", tenant_id))


async def unneeded(driver: Driver, places: Sequence[Place]) -> Unneeded:
    """Files of blobs that are not there; texts that no document names, unless a job may still want one.

    A job that has not completed may: it runs, will run, or can be retried, and a retry need not extract again.
    """
    rows = await driver.fetch(_UNNEEDED, [place.blob_id for place in places], [place.recipe for place in places])
    return Unneeded(
        orphans=[places[row["nth"]] for row in rows if row["is_orphan"]],
        texts=[places[row["nth"]] for row in rows if not row["is_orphan"]],
    )


async def lock_blobs(driver: Driver, ids: Iterable[UUID]) -> set[UUID]:
    """Keeps uploads of the same bytes waiting until the end of the transaction.

    Returns the blobs that are held now: not those that are gone, and not those an upload holds.
    """
    rows = await driver.fetch(
        "SELECT id FROM blobs WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED", list(set(ids))
    )
    return {row["id"] for row in rows}
