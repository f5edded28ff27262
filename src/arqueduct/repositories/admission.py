"""The order of waiting jobs is decided here, in Postgres; Redis holds no more than workers can take soon.

See docs/decisions/0009 and the functions of sql/versions/0002_steering.up.sql.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from arqueduct.database import Driver
from arqueduct.queue import WakeUp

__all__ = ["LEAST_ROOM", "Admitted", "admit", "unadmit"]

LEAST_ROOM = 16
"""Jobs in the run-way even where no worker gave a sign of life yet: the first one begins without a pause."""

SKEW = timedelta(minutes=1)
"""Wake-ups are due at once, also on a machine whose clock is behind by this."""
AHEAD = timedelta(minutes=1)
"""Lead in Redis of the first job of a tenant of which nothing is under way."""
NOTHING = timedelta(0)
STEP = timedelta(milliseconds=1)
"""Between two of one answer: Redis knows milliseconds, and orders those of the same one by their ids."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """Jobs whose turn has come."""

    wake_ups: list[WakeUp]
    """For Redis, in order; they count as dispatched already."""
    next_due_seconds: float | None
    """Until a job that must not run before comes due."""


async def admit(driver: Driver, *, alive: timedelta) -> Admitted:
    """Takes the next jobs out of the line. Outside a transaction: its lock must not wait for a client.

    `alive`: how old a worker's sign of life may be for its slots to count.
    """
    row = await driver.fetchrow("SELECT * FROM admit($1, $2)", LEAST_ROOM, alive)
    assert row is not None  # noqa: S101  # a function with OUT parameters always has a row
    due = datetime.now(UTC) - SKEW
    found = zip(row["job_ids"] or (), row["dispatches"] or (), row["are_ahead"] or (), strict=True)
    wake_ups = [
        WakeUp(job_id, dispatch, due + place * STEP - (AHEAD if is_ahead else NOTHING))
        for place, (job_id, dispatch, is_ahead) in enumerate(found)
    ]
    return Admitted(wake_ups=wake_ups, next_due_seconds=row["next_due_seconds"])


async def unadmit(driver: Driver, wake_ups: Sequence[WakeUp]) -> None:
    """Puts jobs back into the line that Redis did not get, or has lost; their wake-ups are void."""
    await driver.execute(
        "SELECT unadmit($1, $2)",
        [wake_up.job_id for wake_up in wake_ups],
        [wake_up.dispatch for wake_up in wake_ups],
    )
