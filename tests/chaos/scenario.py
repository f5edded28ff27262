"""The story: a calm day, then everything breaks while clients work, then quiet, then the accounts are checked."""

import asyncio
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg

from arqueduct import identity
from tests.chaos import invariants
from tests.chaos.attendance import spans_of, unattended
from tests.chaos.clients import Tenant, Watcher, meddle, resume_all, upload_all
from tests.chaos.documents import of_each_kind, uploads
from tests.chaos.faults import Faults
from tests.chaos.invariants import Broken, Chunks
from tests.chaos.report import Recovery, Report
from tests.chaos.site import Site, open_site

__all__ = ["Plan", "run"]

TENANTS = 2
UPLOADERS = 4
WATCHERS = 2
CALM_SECONDS = 60
LONGEST_WATCH = 8.0
LOOK_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to happen. Times are seconds."""

    jobs: int = 500
    seconds: float = 60
    """Of faults."""
    seed: int = 1
    workers: int = 2
    stock: int = 0
    """Of the workers, how many run with arq's own delivery."""
    pause: float = 0.8
    """Between two faults, in the mean."""
    quiet: float = 180
    """After the last fault, until everything must have ended."""


@dataclass
class Clock:
    """How long each part of the story took, in seconds."""

    phases: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def mark(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[phase], self._last = now - self._last, now


async def run(plan: Plan) -> tuple[Report, Path]:
    """The report, and the folder where only logs are left, for the caller to remove."""
    folder = Path(tempfile.mkdtemp(prefix="arqueduct-chaos-"))
    try:
        return await _run(plan, folder), folder
    except asyncio.CancelledError:
        shutil.rmtree(folder)
        raise
    except Exception as error:
        error.add_note(f"The logs are in {folder}.")
        raise


async def _run(plan: Plan, folder: Path) -> Report:
    clock = Clock()
    async with open_site(folder, workers=plan.workers, stock=plan.stock) as site:
        clock.mark("start")
        calm = await _calm_day(site)
        tenants = [await _tenant(site, f"tenant {number}") for number in range(TENANTS)]
        watchers = [
            Watcher(tenant, random.Random(f"{plan.seed} watcher {number}"))
            for number, tenant in enumerate(tenants * WATCHERS)
        ]
        clock.mark("calm")
        faults = Faults(site, random.Random(f"{plan.seed} faults"))
        async with _following(watchers):
            await _storm(plan, tenants, faults)
            clock.mark("storm")
            await site.ready()
            for tenant in tenants:
                await resume_all(tenant)
            await _quiet(site, plan.quiet)
            clock.mark("quiet")
            differences = await _agreed(watchers)
        survivors = site.survivors()
        connection = await site.connect()
        try:
            report = await _account(connection, plan, site, tenants, faults, calm)
        finally:
            await connection.close()
        clock.mark("check")
    clock.mark("stop")
    return replace(
        report,
        phases=clock.phases,
        connections=sum(watcher.connections for watcher in watchers),
        differences=differences,
        survivors=survivors,
        errors=await asyncio.to_thread(site.errors),
    )


async def _tenant(site: Site, name: str) -> Tenant:
    new = await identity.create(site.postgres.url(), tenant=name, email=f"{name.replace(' ', '')}@example.org")
    return Tenant(new, site.url)


async def _calm_day(site: Site) -> dict[str, Chunks]:
    """What comes of each kind of document when nothing breaks."""
    tenant = await _tenant(site, "calm")
    await upload_all(tenant, iter(of_each_kind()))
    await _quiet(site, CALM_SECONDS)
    connection = await site.connect()
    try:
        calm = await invariants.chunks_by_kind(connection, tenant.identity.tenant_id)
    finally:
        await connection.close()
    assert len(calm) == len(of_each_kind()), f"only {sorted(calm)} were completed on a calm day"
    return calm


async def _storm(plan: Plan, tenants: list[Tenant], faults: Faults) -> None:
    """Faults, uploads and wishes at the same time; uploads end when all are accepted, the rest with the faults."""
    documents = uploads(random.Random(f"{plan.seed} documents"))
    waiting = itertools.islice(documents, plan.jobs)
    async with asyncio.TaskGroup() as group:
        for tenant in tenants:
            for _ in range(UPLOADERS):
                group.create_task(upload_all(tenant, waiting))
        meddling = [
            group.create_task(
                meddle(tenant, random.Random(f"{plan.seed} wishes {number}"), plan.seconds / plan.jobs * 3)
            )
            for number, tenant in enumerate(tenants)
        ]
        await faults.rage(plan.seconds, plan.pause)
        for task in meddling:
            task.cancel()


async def _quiet(site: Site, seconds: float) -> None:
    """Waits until nothing is under way; gives up after so long, and leaves the verdict to the invariants."""
    connection = await site.connect()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM jobs WHERE finished_at IS NULL) OR EXISTS (SELECT FROM deletions)"
                ):
                    await asyncio.sleep(LOOK_SECONDS)
    finally:
        await connection.close()


@asynccontextmanager
async def _following(watchers: list[Watcher]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watcher.follow(LONGEST_WATCH)) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _agreed(watchers: Iterable[Watcher]) -> list[str]:
    """What live clients show otherwise than REST, once they had time to hear it."""
    found: list[str] = []
    for watcher in watchers:
        shown = await watcher.tenant.jobs()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * LONGEST_WATCH):
                while watcher.differences(shown):
                    await asyncio.sleep(LOOK_SECONDS)
        found += [*watcher.wrong, *watcher.differences(shown)]
    return found


async def _account(
    connection: asyncpg.Connection,
    plan: Plan,
    site: Site,
    tenants: list[Tenant],
    faults: Faults,
    calm: dict[str, Chunks],
) -> Report:
    broken = await invariants.check(connection)
    for tenant in tenants:
        broken += await _promises(connection, tenant, calm)
    asked: dict[str, int] = {}
    for tenant in tenants:
        for wish, count in tenant.ledger.asked.items():
            asked[wish] = asked.get(wish, 0) + count
    return Report(
        seed=plan.seed,
        phases={},
        faults=faults.count,
        documents=await connection.fetchval("SELECT count(*) FROM documents"),
        jobs=await connection.fetchval("SELECT count(*) FROM jobs"),
        states=await _counted(connection, "SELECT state, count(*) FROM jobs GROUP BY 1"),
        attempts=await _counted(connection, "SELECT coalesce(outcome, 'open'), count(*) FROM job_attempts GROUP BY 1"),
        asked=asked,
        repeated=sum(tenant.ledger.repeated for tenant in tenants),
        connections=0,
        recoveries=await _recoveries(connection, site),
        broken=broken,
    )


async def _promises(connection: asyncpg.Connection, tenant: Tenant, calm: dict[str, Chunks]) -> list[Broken]:
    """What the API said, against what there is."""
    ledger, tenant_id = tenant.ledger, tenant.identity.tenant_id
    kept = ledger.documents.keys() - ledger.deleted - ledger.unsure
    alive = {
        row["id"]
        for row in await connection.fetch(
            "SELECT id FROM documents WHERE tenant_id = $1 AND deleted_at IS NULL", tenant_id
        )
    }
    failed = await connection.fetch("SELECT id FROM jobs WHERE tenant_id = $1 AND state = 'failed'", tenant_id)
    found = {
        "every accepted job is there": await invariants.missing(connection, "jobs", ledger.documents.values()),
        "every accepted document is there": await invariants.missing(connection, "documents", kept),
        "no deleted document is there": sorted(map(str, ledger.deleted & alive)),
        "no job fails, for every file is sound": sorted(str(row["id"]) for row in failed),
        "chunks are those of a calm day": await invariants.unlike(connection, tenant_id, calm),
    }
    return [Broken(rule=rule, ids=ids) for rule, ids in found.items() if ids]


async def _counted(connection: asyncpg.Connection, query: str) -> dict[str, int]:
    return {row[0]: row[1] for row in await connection.fetch(query)}


async def _recoveries(connection: asyncpg.Connection, site: Site) -> list[Recovery]:
    """Attempts that were under way when a signal hit their worker."""
    found = []
    spans = await asyncio.to_thread(spans_of, site.workers)
    hits = [(life, hit) for worker in site.workers for life in worker.lives for hit in life.hits]
    for life, hit in hits:
        rows: list[Any] = await connection.fetch(
            """
            SELECT a.job_id, a.outcome, extract(epoch FROM a.ended_at) AS ended, (
                SELECT extract(epoch FROM min(n.started_at)) FROM job_attempts n
                WHERE n.job_id = a.job_id AND n.attempt > a.attempt AND NOT EXISTS (
                    SELECT FROM job_events e WHERE e.job_id = a.job_id AND e.attempt = a.attempt AND e.state = 'paused')
            ) AS again, (
                SELECT count(*) FROM job_attempts n WHERE n.started_at > a.ended_at AND n.started_at < (
                    SELECT min(started_at) FROM job_attempts n WHERE n.job_id = a.job_id AND n.attempt > a.attempt)
            ) AS before
            FROM job_attempts a
            WHERE split_part(a.worker, ':', 2) = $1 AND a.started_at < to_timestamp($2)
                AND a.started_at >= to_timestamp($3) AND a.ended_at > to_timestamp($2)
                AND a.outcome IN ('worker_died', 'handed_back')
            """,
            str(life.pid),
            hit,
            life.began,
        )
        found += [
            Recovery(
                job_id=str(row["job_id"]),
                fault=row["outcome"],
                queued=float(row["ended"]) - hit,
                unattended=unattended(spans, hit, float(row["ended"])),
                claimed=None if row["again"] is None else float(row["again"]) - hit,
                before=row["before"],
            )
            for row in rows
        ]
    return found
