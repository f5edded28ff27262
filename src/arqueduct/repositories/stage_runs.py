"""Runs of stages: written in batches, read as sums, and as the rates that they taught."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from arqueduct.database import Driver, Transaction
from arqueduct.eta import JOB, Rate, Rates
from arqueduct.spans import Group, Piece

__all__ = [
    "Busy",
    "Run",
    "busy",
    "died",
    "note",
    "prune_runs",
    "prune_sums",
    "rates",
    "rates_of_jobs",
    "series",
    "sums",
]


BY_HOUR, BY_DAY = ("hour", "hours done"), ("day", "week", "days done")
"""Spans of sums that are kept as long as each other."""


class Run(msgspec.Struct, kw_only=True, frozen=True):
    """A stage that an attempt finished or failed in; `eta.WAIT` and `eta.JOB` stand for its wait and the whole."""

    tenant_id: UUID
    user_id: UUID
    job_id: UUID
    attempt: int
    kind: str
    stage: str
    content_type: str | None = None
    size: int | None = None
    """Bytes of the document."""
    seconds: float
    ended: float
    """By this process' monotonic clock."""
    code: str | None = None
    """Of the error; None: it went well."""
    documents: int = 0
    pages: int = 0
    chunks: int = 0


class Busy(msgspec.Struct, kw_only=True, frozen=True):
    """What a job waits for, of the whole installation."""

    slots: int
    """Jobs that live workers run at a time."""
    ahead: int
    """Jobs that run, or that workers will take next and before it."""


_RATES = "SELECT kind, stage, content_type, size_class, weight, mean, variance FROM stage_rates"

# Where a job was when its worker died, by the label that clients see.
_DIED = """
    SELECT job_id, attempt, stage, greatest(extract(epoch FROM ended_at - started_at), 0)::float8 AS seconds
    FROM job_attempts JOIN unnest($1::uuid[], $2::int[]) AS d(job_id, attempt) USING (job_id, attempt)
    WHERE outcome = 'worker_died'
"""

_SUMS = """
    SELECT s.kind, s.stage, s.code, s.bucket, sum(s.runs)::bigint AS runs, sum(s.microseconds)::bigint AS microseconds,
        sum(s.documents)::bigint AS documents, sum(s.pages)::bigint AS pages, sum(s.chunks)::bigint AS chunks
    FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS p(span, low, high)
    CROSS JOIN LATERAL (
        SELECT * FROM stage_run_sums i
        WHERE i.whose = $1 AND i.span = p.span AND i.began_at >= p.low AND i.began_at < p.high
            AND ($5::text IS NULL OR i.kind = $5)
    ) s
    GROUP BY s.kind, s.stage, s.code, s.bucket
"""

# Of a day that the range holds in part, the hours count.
_SERIES = """
    SELECT date_trunc($6, s.began_at, 'UTC') AS began_at, sum(s.runs)::bigint AS jobs,
        sum(s.documents)::bigint AS documents, sum(s.pages)::bigint AS pages, sum(s.chunks)::bigint AS chunks
    FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS p(span, low, high)
    CROSS JOIN LATERAL (
        SELECT * FROM stage_run_sums i
        WHERE i.whose = $1 AND i.span = CASE p.span WHEN 'hour' THEN 'hours done' ELSE 'days done' END
            AND i.began_at >= p.low AND i.began_at < p.high AND ($5::text IS NULL OR i.kind = $5)
    ) s
    GROUP BY 1 ORDER BY 1
"""


async def note(driver: Driver, runs: Sequence[Run], now: float) -> int:
    """Writes runs, their sums and what the rates learn of them, in one statement; returns how many were new.

    `now`: the monotonic clock of this process, from which Postgres learns when they ended.
    """
    rows = [{**msgspec.structs.asdict(run), "ago": now - run.ended} for run in runs]
    noted: int = await driver.fetchval("SELECT note_stage_runs($1)", msgspec.json.encode(rows).decode())
    return noted


async def rates(driver: Driver) -> Rates:
    """All of them: some hundreds."""
    return Rates([Rate(**row) for row in await driver.fetch(_RATES)])


async def rates_of_jobs(driver: Driver) -> Rates:
    """How long whole jobs take."""
    return Rates([Rate(**row) for row in await driver.fetch(f"{_RATES} WHERE stage = $1", JOB)])


async def busy(driver: Driver, job_id: UUID, alive: timedelta) -> Busy:
    """Of a job of the transaction's tenant. `alive`: how old the sign of life of a live worker may be."""
    row = await driver.fetchrow("SELECT * FROM queue_pace($1, $2)", alive, job_id)
    assert row is not None  # noqa: S101  # a function with OUT parameters returns one row
    return Busy(slots=row["slots"] or 0, ahead=row["ahead"] or 0)


async def died(driver: Driver, attempts: Sequence[tuple[UUID, int]]) -> Sequence[asyncpg.Record]:
    """`job_id, attempt, stage, seconds` of attempts whose worker died; the stage by its label."""
    return await driver.fetch(_DIED, [job for job, _ in attempts], [attempt for _, attempt in attempts])


async def sums(
    transaction: Transaction, whose: UUID, pieces: Sequence[Piece], kind: str | None
) -> Sequence[asyncpg.Record]:
    """By kind, stage, code of the error (empty: none) and bucket of the histogram. `whose`: a user, or the tenant."""
    return await transaction.driver.fetch(_SUMS, whose, *_arrays(pieces), kind)


async def series(
    transaction: Transaction, whose: UUID, pieces: Sequence[Piece], kind: str | None, by: Group
) -> Sequence[asyncpg.Record]:
    """What was completed, by hour or day: `began_at, jobs, documents, pages, chunks`; none where nothing was."""
    return await transaction.driver.fetch(_SERIES, whose, *_arrays(pieces), kind, by)


async def prune_runs(driver: Driver, *, older: timedelta, most: int) -> int:
    """Deletes at most `most` runs that ended longer than `older` ago, the oldest first; returns how many."""
    pruned: int = await driver.fetchval("SELECT prune_stage_runs($1, $2)", older, most)
    return pruned


async def prune_sums(driver: Driver, *, spans: Sequence[str], older: timedelta, most: int) -> int:
    """The same for sums of some spans, whole days of them."""
    pruned: int = await driver.fetchval("SELECT prune_stage_run_sums($1, $2, $3)", spans, older, most)
    return pruned


def _arrays(pieces: Sequence[Piece]) -> tuple[list[str], list[datetime], list[datetime]]:
    return [piece.span for piece in pieces], [piece.low for piece in pieces], [piece.high for piece in pieces]
