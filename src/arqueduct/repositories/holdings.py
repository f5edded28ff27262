"""What the originals of a tenant are and take, by its rows. Needs a transaction of the tenant."""

import asyncpg

from arqueduct.database import Driver

__all__ = ["holdings"]

_HOLDINGS = """
    WITH kept AS (
        SELECT blob_id, size, archived_at FROM documents
        WHERE tenant_id = current_tenant() AND deleted_at IS NULL AND original_removed_at IS NULL
    ), stored AS (
        SELECT b.size, b.place, b.cold_size FROM blobs b
        WHERE b.tenant_id = current_tenant() AND b.place <> 'removed' AND b.id IN (SELECT blob_id FROM kept)
    )
    SELECT
        (SELECT count(*) FROM documents WHERE tenant_id = current_tenant() AND deleted_at IS NULL) AS documents,
        (SELECT count(*) FROM documents WHERE tenant_id = current_tenant() AND deleted_at IS NULL
            AND archived_at IS NOT NULL) AS archived,
        (SELECT coalesce(sum(size), 0)::bigint FROM kept) AS logical_bytes,
        coalesce(sum(size) FILTER (WHERE place = 'hot'), 0)::bigint AS hot_bytes,
        coalesce(sum(cold_size), 0)::bigint AS cold_bytes,
        (SELECT coalesce(sum(size), 0)::bigint FROM kept) - coalesce(sum(size), 0)::bigint AS shared_bytes,
        coalesce(sum(size - cold_size) FILTER (WHERE place = 'cold'), 0)::bigint AS compressed_bytes
    FROM stored
"""


async def holdings(driver: Driver) -> asyncpg.Record:
    """One row: the fields of `GET /storage`, but for what only a walk through the storage can tell."""
    row = await driver.fetchrow(_HOLDINGS)
    assert row is not None  # noqa: S101  # an aggregate
    return row
