"""Quotas: how much a tenant and each of its users may have, asked in the transaction that adds something.

Strict also when many add at once: where there is a quota, those who add stand in a queue for the rest of their
transactions. Call `check` first in a transaction, before anything is locked, so that nobody waits here with a row in
hand that another one wants.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from arqueduct import metrics
from arqueduct.database import Driver, Transaction
from arqueduct.errors import QuotaExceeded
from arqueduct.webhooks.kinds import NOT_OURS

__all__ = [
    "KINDS",
    "Amounts",
    "Limits",
    "Quotas",
    "check",
    "of_tenant",
    "of_user",
    "quotas",
    "set_default",
    "set_of_tenant",
    "set_of_user",
    "used",
]

KINDS = ("documents", "bytes", "jobs")
"""What there are quotas of. Bytes are those of originals. Jobs are those that are not finished, but for parents: their
children are counted."""


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much there is."""

    documents: int = 0
    bytes: int = 0
    jobs: int = 0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much there may be; None: as much as comes."""

    documents: int | None = None
    bytes: int | None = None
    jobs: int | None = None

    @property
    def is_any(self) -> bool:
        return (self.documents, self.bytes, self.jobs) != (None, None, None)


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """What is set in a tenant."""

    tenant: Limits
    default: Limits
    """Of each user that has none of its own."""
    users: list[tuple[UUID, Limits]]


_LIMITS = """
    SELECT t.documents, t.bytes, t.jobs,
        CASE WHEN u.user_id IS NULL THEN t.user_documents ELSE u.documents END AS user_documents,
        CASE WHEN u.user_id IS NULL THEN t.user_bytes ELSE u.bytes END AS user_bytes,
        CASE WHEN u.user_id IS NULL THEN t.user_jobs ELSE u.jobs END AS user_jobs
    FROM (SELECT $1::uuid AS tenant_id) asked
    LEFT JOIN tenant_quotas t USING (tenant_id)
    LEFT JOIN user_quotas u ON u.tenant_id = asked.tenant_id AND u.user_id = $2
"""

_STOCK = """
    SELECT coalesce(sum(documents), 0)::bigint AS documents, coalesce(sum(bytes), 0)::bigint AS bytes
    FROM (
        SELECT documents, bytes FROM usage WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id = $2)
        UNION ALL
        SELECT documents, bytes FROM usage_changes WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id = $2)
    ) counted
"""
_JOBS = f"""
    SELECT count(*) FROM (
        SELECT FROM jobs WHERE tenant_id = $1 AND state IN ('queued', 'running', 'paused') AND children IS NULL
            AND ($2::uuid IS NULL OR user_id = $2) AND {NOT_OURS}
        LIMIT $3
    ) counted
"""
"""At most $3 of them; null: all."""


async def check(
    transaction: Transaction, *, tenant_id: UUID, user_id: UUID, documents: int = 0, bytes: int = 0, jobs: int = 0
) -> None:
    """Whether the tenant and the user may have so much more, which this transaction is about to add.

    Raises `QuotaExceeded`. Where no quota is set it is one look at two primary keys, and nobody waits for anybody.
    """
    driver = transaction.driver
    wanted = Amounts(documents=documents, bytes=bytes, jobs=jobs)
    tenant, user = await _limits(driver, tenant_id, user_id)
    # The tenant's before the user's, as everybody: two who want both never wait for each other.
    for scope, limits, of_user in (("tenant", tenant, None), ("user", user, user_id)):
        if limits.is_any:
            await driver.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('quota ' || $1, 0))", f"{tenant_id} {of_user or ''}"
            )
            _refuse_more(scope, limits, await _used_of(driver, tenant_id, of_user, limits, wanted), wanted)


async def used(driver: Driver, tenant_id: UUID, user_id: UUID | None = None) -> Amounts:
    """What the tenant has, or one of its users."""
    stock = await driver.fetchrow(_STOCK, tenant_id, user_id)
    return Amounts(**dict(stock or {}), jobs=await driver.fetchval(_JOBS, tenant_id, user_id, None))


async def of_tenant(driver: Driver, tenant_id: UUID) -> Limits:
    """What the operator allows it."""
    row = await driver.fetchrow("SELECT documents, bytes, jobs FROM tenant_quotas WHERE tenant_id = $1", tenant_id)
    return Limits(**row) if row else Limits()


async def of_user(driver: Driver, tenant_id: UUID, user_id: UUID) -> Limits:
    """What its administrators allow this user: the user's own, else the default."""
    return (await _limits(driver, tenant_id, user_id))[1]


async def quotas(driver: Driver, tenant_id: UUID) -> Quotas:
    """All that is set."""
    row = await driver.fetchrow("SELECT * FROM tenant_quotas WHERE tenant_id = $1", tenant_id)
    users = await driver.fetch(
        "SELECT user_id, documents, bytes, jobs FROM user_quotas WHERE tenant_id = $1 ORDER BY user_id", tenant_id
    )
    return Quotas(
        tenant=_named(row) if row else Limits(),
        default=_named(row, "user_") if row else Limits(),
        users=[(user["user_id"], _named(user)) for user in users],
    )


async def set_of_tenant(driver: Driver, tenant_id: UUID, limits: Limits) -> None:
    """Needs a connection as the owner of the tables: no tenant decides it for itself."""
    await driver.execute(
        "INSERT INTO tenant_quotas (tenant_id, documents, bytes, jobs) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id) DO UPDATE SET documents = excluded.documents, bytes = excluded.bytes, "
        "jobs = excluded.jobs, updated_at = now()",
        tenant_id,
        limits.documents,
        limits.bytes,
        limits.jobs,
    )


async def set_default(driver: Driver, tenant_id: UUID, limits: Limits) -> None:
    """Of each user that has none of its own."""
    await driver.execute(
        "INSERT INTO tenant_quotas (tenant_id, user_documents, user_bytes, user_jobs) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (tenant_id) DO UPDATE SET user_documents = excluded.user_documents, "
        "user_bytes = excluded.user_bytes, user_jobs = excluded.user_jobs, updated_at = now()",
        tenant_id,
        limits.documents,
        limits.bytes,
        limits.jobs,
    )


async def set_of_user(driver: Driver, tenant_id: UUID, user_id: UUID, limits: Limits | None) -> bool:
    """None: the default counts again. False: the tenant has no such member."""
    is_member = "SELECT EXISTS (SELECT FROM memberships WHERE tenant_id = $1 AND user_id = $2)"
    if not await driver.fetchval(is_member, tenant_id, user_id):
        return False
    if limits is None:
        await driver.execute("DELETE FROM user_quotas WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id)
        return True
    await driver.execute(
        "INSERT INTO user_quotas (tenant_id, user_id, documents, bytes, jobs) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (tenant_id, user_id) DO UPDATE SET documents = excluded.documents, bytes = excluded.bytes, "
        "jobs = excluded.jobs, updated_at = now()",
        tenant_id,
        user_id,
        limits.documents,
        limits.bytes,
        limits.jobs,
    )
    return True


async def _limits(driver: Driver, tenant_id: UUID, user_id: UUID) -> tuple[Limits, Limits]:
    row = await driver.fetchrow(_LIMITS, tenant_id, user_id)
    return (_named(row), _named(row, "user_")) if row else (Limits(), Limits())


def _named(row: asyncpg.Record, prefix: str = "") -> Limits:
    return Limits(**{kind: row[f"{prefix}{kind}"] for kind in KINDS})


async def _used_of(driver: Driver, tenant_id: UUID, user_id: UUID | None, limits: Limits, wanted: Amounts) -> Amounts:
    """Only what decides, and of jobs no more than one above the limit, however many wait."""
    asked = {kind for kind in KINDS if getattr(limits, kind) is not None and getattr(wanted, kind)}
    stock = await driver.fetchrow(_STOCK, tenant_id, user_id) if asked - {"jobs"} else None
    jobs = await driver.fetchval(_JOBS, tenant_id, user_id, (limits.jobs or 0) + 1) if "jobs" in asked else 0
    return Amounts(**dict(stock or {}), jobs=jobs)


def _refuse_more(scope: str, limits: Limits, used: Amounts, wanted: Amounts) -> None:
    for kind in KINDS:
        limit, there, more = getattr(limits, kind), getattr(used, kind), getattr(wanted, kind)
        if limit is not None and more and there + more > limit:
            metrics.quota_refusals.labels(kind, scope).inc()
            at_least = "at least " if kind == "jobs" and there > limit else ""
            raise QuotaExceeded(
                f"The {scope} has {at_least}{there:,} of {limit:,} {kind}; this would be {more:,} more.",
                quota=kind,
                limit=limit,
                used=there,
                wanted=more,
                scope=scope,
            )
