"""What a tenant wants to leave when it is old, and the runs that see to it. Needs a transaction of the tenant.

What runs do is in the worker; here is which rows they mean. A dry run asks with the same conditions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from arqueduct import storable
from arqueduct.database import Driver
from arqueduct.errors import UpkeepUnderWay
from arqueduct.repositories import jobs
from arqueduct.repositories.originals import UNFINISHED
from arqueduct.repositories.retention import BEGINNING, Position
from arqueduct.repositories.statements import TOUCHED

__all__ = [
    "JOBS",
    "KINDS",
    "OLDEST",
    "OPTIMISE",
    "RETENTION",
    "SAMPLE",
    "Found",
    "Place",
    "Policy",
    "Target",
    "add_run",
    "again",
    "count",
    "expected",
    "last_report",
    "new_run",
    "old_documents",
    "place_of",
    "policies",
    "prune_jobs",
    "put_policies",
    "report_of",
    "run",
    "without_original",
    "write_report",
]

RETENTION, OPTIMISE = "retention.apply", "storage.optimise"
"""Kinds of jobs that are about a whole tenant."""
KINDS = (RETENTION, OPTIMISE)
SAMPLE = 20
"""Ids that a report names of each target."""
JOBS = 500
"""Finished jobs that are looked at in one go: some tens of milliseconds."""

Place: TypeAlias = tuple[datetime, UUID]
"""Between two documents, in order of their age."""
OLDEST: Place = BEGINNING, UUID(int=0)


class Target(StrEnum):
    """What can leave, in the order in which a run takes it."""

    DOCUMENTS = "documents"
    """Whole documents, as if a user deleted them."""
    ORIGINALS = "originals"
    """Bytes as they were uploaded; text, passages and vectors stay."""
    TEXTS = "texts"
    """Kept texts that only the retry of a failed or cancelled job would use; it then extracts again."""
    JOBS = "jobs"
    """Finished jobs that no document names, with their history."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long things of one sort are kept."""

    target: Target
    days: int
    states: Sequence[str] = ()
    """Of the job; none: any state that is final."""
    content_types: Sequence[str] = ()
    """None: all."""
    is_enabled: bool = False
    updated_at: datetime | None = None

    @property
    def age(self) -> timedelta:
        return timedelta(days=self.days)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a policy means now."""

    rows: int = 0
    bytes: int = 0
    """That the storage would have less."""
    sample: list[str] = field(default_factory=list)


_THERE = """
    FROM documents d LEFT JOIN jobs j ON j.id = d.job_id
    WHERE d.tenant_id = current_tenant() AND d.deleted_at IS NULL
"""
# An archived document is kept until somebody restores or deletes it, whatever a policy says.
_IS_OLD = f"""
    d.archived_at IS NULL AND d.created_at < now() - $1::interval
    AND ($2::text[] = '{{}}' OR j.state = ANY ($2)) AND ($3::text[] = '{{}}' OR d.content_type = ANY ($3))
    AND NOT EXISTS (SELECT FROM jobs o WHERE o.document_id = d.id AND o.state IN {UNFINISHED})
"""
_WITH_ORIGINAL = " AND d.original_removed_at IS NULL AND d.text_recipe IS NOT NULL"
"""Without a text, the original is all there is of a document."""


def _is_meant(target: Target) -> str:
    return _IS_OLD + (_WITH_ORIGINAL if target is Target.ORIGINALS else "")


def _meant(target: Target) -> str:
    return f"{_THERE} AND {_is_meant(target)}"


def _expected(target: Target) -> str:
    """Each document is looked at once, whatever Postgres knows of the tables. Bytes leave with the last document that
    has them."""
    return f"""
        WITH known AS MATERIALIZED (
            SELECT d.id, d.blob_id, d.created_at, d.original_removed_at, ({_is_meant(target)}) IS TRUE AS is_meant
            {_THERE}
        )
        SELECT count(*) FILTER (WHERE is_meant) AS rows,
            (array_agg(id ORDER BY created_at, id) FILTER (WHERE is_meant))[1:{SAMPLE}] AS sample, (
                SELECT coalesce(sum((
                    SELECT coalesce(b.cold_size, b.size) FROM blobs b WHERE b.id = gone.blob_id AND b.place <> 'removed'
                )), 0)::bigint
                FROM (
                    SELECT blob_id FROM known WHERE original_removed_at IS NULL
                    GROUP BY blob_id HAVING bool_and(is_meant)
                ) gone
            ) AS bytes
        FROM known
    """


_BUSY = f"SELECT document_id FROM jobs WHERE document_id = ANY ($1::uuid[]) AND state IN {UNFINISHED}"
_UNDER_WAY = f"""
    SELECT EXISTS (
        SELECT FROM jobs j JOIN upkeep_runs r USING (id)
        WHERE j.tenant_id = $1 AND j.state IN {UNFINISHED} AND r.kind = $2 AND NOT r.is_dry
    )
"""


async def policies(driver: Driver, *, only_enabled: bool = False) -> list[Policy]:
    """In the order in which a run takes them."""
    rows = await driver.fetch(
        "SELECT target, days, states, content_types, is_enabled, updated_at FROM retention_policies "
        "WHERE tenant_id = current_tenant() AND (is_enabled OR NOT $1)",
        only_enabled,
    )
    found = {row["target"]: Policy(**{**row, "target": Target(row["target"])}) for row in rows}
    return [found[target] for target in Target if target in found]


async def put_policies(driver: Driver, tenant_id: UUID, user_id: UUID, wanted: Sequence[Policy]) -> None:
    """Replaces all of the tenant's."""
    await driver.execute(
        "DELETE FROM retention_policies WHERE tenant_id = $1 AND target <> ALL ($2::text[])",
        tenant_id,
        [policy.target for policy in wanted],
    )
    for policy in wanted:
        await driver.execute(
            "INSERT INTO retention_policies (tenant_id, target, days, states, content_types, is_enabled, updated_by) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, target) DO UPDATE SET days = excluded.days, "
            "states = excluded.states, content_types = excluded.content_types, is_enabled = excluded.is_enabled, "
            "updated_by = excluded.updated_by, updated_at = now()",
            tenant_id,
            policy.target,
            policy.days,
            list(policy.states),
            list(policy.content_types),
            policy.is_enabled,
            user_id,
        )


async def new_run(driver: Driver, tenant_id: UUID, kind: str, *, is_dry: bool) -> None:
    """Keeps others from beginning one until the transaction ends. Raises `UpkeepUnderWay` if one is not finished; a
    dry run hinders nobody, and nobody it."""
    if is_dry:
        return
    await driver.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{kind} {tenant_id}")
    if await driver.fetchval(_UNDER_WAY, tenant_id, kind):
        raise UpkeepUnderWay


async def again(driver: Driver, tenant_id: UUID, run_id: UUID) -> None:
    """`new_run` for one that failed or was cancelled. Raises `UpkeepUnderWay`."""
    found = await run(driver, run_id)
    if found is not None:
        await new_run(driver, tenant_id, found["kind"], is_dry=found["is_dry"])


async def add_run(driver: Driver, tenant_id: UUID, job_id: UUID, kind: str, *, is_dry: bool) -> None:
    """Beside its job, in the same transaction."""
    await driver.execute(
        "INSERT INTO upkeep_runs (id, tenant_id, kind, is_dry) VALUES ($1, $2, $3, $4)",
        job_id,
        tenant_id,
        kind,
        is_dry,
    )


async def run(driver: Driver, run_id: UUID) -> asyncpg.Record | None:
    return await driver.fetchrow("SELECT * FROM upkeep_runs WHERE id = $1", run_id)


async def last_report(driver: Driver, kind: str) -> asyncpg.Record | None:
    """The newest run that has something to say: `report, updated_at`."""
    return await driver.fetchrow(
        "SELECT report, updated_at FROM upkeep_runs WHERE tenant_id = current_tenant() AND kind = $1 AND NOT is_dry "
        "AND report ? 'measured' ORDER BY created_at DESC LIMIT 1",
        kind,
    )


async def report_of(driver: Driver, job_id: UUID) -> dict[str, Any]:
    """What earlier attempts wrote, too."""
    found: dict[str, Any] | None = await driver.fetchval("SELECT report FROM upkeep_runs WHERE id = $1", job_id)
    return found or {}


async def write_report(driver: Driver, job_id: UUID, fence: int, report: dict[str, Any]) -> None:
    """In the transaction of what it tells, and after it, so that it is done and told, or neither.

    Raises `LeaseLost` if the attempt no longer owns the job.
    """
    await jobs.hold(driver, job_id, fence)
    await driver.execute(
        "UPDATE upkeep_runs SET report = $2::text::jsonb, updated_at = now() WHERE id = $1",
        job_id,
        storable.json(report),
    )


async def count(driver: Driver, policy: Policy) -> int:
    """How many a policy means; `expected` tells more, and takes longer."""
    if policy.target is Target.JOBS:
        return (await _old_jobs(driver, policy)).rows
    found: int = await driver.fetchval(f"SELECT count(*) {_meant(policy.target)}", *_asked(policy))
    return found


async def expected(driver: Driver, policy: Policy) -> Found:
    """How much a policy means, without touching it. Not of texts: those are seen in the storage only."""
    if policy.target is Target.JOBS:
        return await _old_jobs(driver, policy)
    row = await driver.fetchrow(_expected(policy.target), *_asked(policy))
    assert row is not None  # noqa: S101  # it counts
    return Found(rows=row["rows"], bytes=row["bytes"], sample=[str(found) for found in row["sample"] or ()])


async def old_documents(driver: Driver, policy: Policy, *, most: int, after: Place = OLDEST) -> list[asyncpg.Record]:
    """The next documents that a policy means, behind `after`, locked: `id, blob_id, created_at`.

    Those that somebody holds are left out. None: there are no more.
    """
    while rows := await driver.fetch(
        f"SELECT d.id, d.blob_id, d.created_at {_meant(policy.target)} AND (d.created_at, d.id) > ($4, $5) "
        "ORDER BY d.created_at, d.id LIMIT $6 FOR NO KEY UPDATE OF d SKIP LOCKED",
        *_asked(policy),
        *after,
        most,
    ):
        # Now that they are locked: one may have got a job before it was.
        busy = {row["document_id"] for row in await driver.fetch(_BUSY, [row["id"] for row in rows])}
        if idle := [row for row in rows if row["id"] not in busy]:
            return idle
        after = place_of(rows[-1])
    return []


def place_of(document: asyncpg.Record) -> Place:
    """Of one of `old_documents`: where to go on behind it."""
    return document["created_at"], document["id"]


async def without_original(driver: Driver, document_ids: Sequence[UUID]) -> None:
    """From the commit on their content is gone."""
    await driver.execute(
        f"UPDATE documents SET original_removed_at = now(), {TOUCHED} WHERE id = ANY ($1)",
        list(document_ids),
    )


async def prune_jobs(driver: Driver, policy: Policy, *, most: int, after: Position) -> tuple[int, Position | None]:
    """Looks at the next finished jobs, about `most`, and deletes those that a policy means; returns how many, and where
    to go on. None: there are no more."""
    row = await driver.fetchrow("SELECT * FROM prune_old_jobs($1, $2, $3, $4, $5)", *_page(policy, most, after))
    assert row is not None  # noqa: S101  # a function with OUT parameters returns one row
    return row["pruned"], _behind(row, most)


async def _old_jobs(driver: Driver, policy: Policy) -> Found:
    """What `prune_jobs` would delete."""
    row = await driver.fetchrow("SELECT * FROM old_jobs($1, $2, $3)", policy.age, list(policy.states), SAMPLE)
    assert row is not None  # noqa: S101  # as above
    return Found(rows=row["many"], sample=[str(job_id) for job_id in row["ids"]])


def _asked(policy: Policy) -> tuple[object, ...]:
    return policy.age, list(policy.states), list(policy.content_types)


def _page(policy: Policy, most: int, after: Position) -> tuple[object, ...]:
    return policy.age, list(policy.states), most, after.finished_at, after.job_id


def _behind(row: asyncpg.Record, most: int) -> Position | None:
    is_last = row["looked"] < most
    return None if is_last else Position(finished_at=row["after_at"], job_id=row["after_id"])
