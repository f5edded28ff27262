"""What workers have installed: told by each with its signs of life, and gone with them."""

from datetime import timedelta

import msgspec

from arqueduct.database import Driver
from arqueduct.errors import NoWorkerYet
from arqueduct.installed import Installed, merged

__all__ = ["installed", "tell"]

# Without a live worker the last ones count: while they restart, or the machine does, profiles can still be checked.
_TOLD = """
    SELECT i.installed FROM installations i JOIN workers w ON w.id = i.worker_id
    WHERE w.beat_at >= now() - $1::interval
        OR NOT EXISTS (SELECT FROM installations j JOIN workers v ON v.id = j.worker_id
            WHERE v.beat_at >= now() - $1::interval)
    ORDER BY w.started_at DESC, w.id
"""
_HAS_TOLD = "SELECT EXISTS (SELECT FROM installations WHERE worker_id = $1)"
_TELL = "INSERT INTO installations (worker_id, installed) VALUES ($1, $2) ON CONFLICT DO NOTHING"


async def tell(driver: Driver, worker: str, mine: Installed) -> None:
    """What a worker has, after its sign of life in the same transaction; once, and again should it be forgotten."""
    if not await driver.fetchval(_HAS_TOLD, worker):
        await driver.execute(_TELL, worker, msgspec.json.encode(mine).decode())


async def installed(driver: Driver, *, alive: timedelta) -> Installed:
    """What live workers have; where they differ about a pipeline, what the newest has. Raises `NoWorkerYet`."""
    rows = await driver.fetch(_TOLD, alive)
    if not rows:
        raise NoWorkerYet
    return merged(msgspec.convert(row["installed"], Installed) for row in rows)
