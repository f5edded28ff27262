"""Which files of a tenant nobody needs, by its rows. Each takes a transaction of that tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from arqueduct.database import Driver
from arqueduct.storage.layout import Place

__all__ = ["Unneeded", "is_known", "lock_blobs", "unneeded"]

_UNNEEDED = """
    SELECT f.nth - 1 AS nth, b.id IS NULL OR f.recipe IS NULL AS is_orphan
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::boolean[])
        WITH ORDINALITY AS f(blob_id, recipe, copy, is_cold, nth)
    LEFT JOIN blobs b ON b.id = f.blob_id
    WHERE b.id IS NULL OR (
        f.recipe IS NOT NULL AND NOT EXISTS (
            SELECT FROM documents d WHERE d.blob_id = b.id AND d.deleted_at IS NULL AND (
                d.text_recipe = f.recipe
                OR EXISTS (
                    SELECT FROM jobs j WHERE j.document_id = d.id AND j.state <> 'completed'
                        AND ($5 OR j.state IN ('queued', 'running', 'paused'))
                )
            )
        )
    ) OR (
        f.recipe IS NULL
        AND NOT (b.place = CASE WHEN f.is_cold THEN 'cold' ELSE 'hot' END AND b.copy IS NOT DISTINCT FROM f.copy)
    )
"""


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """Files that may go."""

    orphans: list[Place]
    """Bytes that no blob names, and texts of blobs that are not there. They do not come to be named again."""
    texts: list[Place]
    """Their blob is there, but no document of it wants this text."""


async def is_known(driver: Driver, tenant_id: UUID) -> bool:
    """Whether this database has the tenant at all."""
    return bool(await driver.fetchval("SELECT EXISTS (SELECT FROM tenants WHERE id = $1)", tenant_id))


async def unneeded(driver: Driver, places: Sequence[Place], *, spares_retries: bool = True) -> Unneeded:
    """Files of bytes that no blob names; texts that no document names, unless a job may still want one.

    A job that has not completed may: it runs, will run, or can be retried, and a retry need not extract again. Not
    `spares_retries`: let it.
    """
    rows = await driver.fetch(
        _UNNEEDED,
        [place.blob_id for place in places],
        [place.recipe for place in places],
        [place.copy for place in places],
        [place.is_cold for place in places],
        spares_retries,
    )
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
