"""What is old leaves the database, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from arqueduct import metrics
from arqueduct.database import Database, Driver, Role
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import Action
from arqueduct.repositories import documents, retention, steering
from arqueduct.repositories.retention import BEGINNING, Position
from arqueduct.settings import Settings
from arqueduct_worker.housekeeping import Housekeeping
from tests.integration.worker import TestWorker, submit, until, working

MONTH = timedelta(days=30)
LATE = timedelta(days=40)
"""A job that ended this long ago is old by any setting."""


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Driver]:
    """May do what no role that serves may: make jobs old."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def a_job(owner: Driver, me: NewIdentity, *, ended: timedelta | None = LATE, parent: UUID | None = None) -> UUID:
    """A job without a document, with three lines of history and two attempts; one that has not ended is paused."""
    job_id = new_id()
    state = "paused" if ended is None else "completed"
    await owner.execute(
        "INSERT INTO jobs (id, tenant_id, user_id, kind, parent_id, state, stage, seq, finished_at) "
        "VALUES ($1, $2, $3, 'test', $4, $5, $5, 3, now() - $6::interval)",
        *(job_id, me.tenant_id, me.user_id, parent, state, ended),
    )
    await owner.executemany(
        "INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt, created_at) "
        "VALUES ($1, $2, $3, 'job_progress', $4, $4, 0, 1, now() - $5::interval)",
        [
            (job_id, seq, me.tenant_id, at, ended or LATE)
            for seq, at in enumerate(("queued", "running", state), start=1)
        ],
    )
    await owner.executemany(
        "INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version, ended_at, outcome) "
        "VALUES ($1, $2, $3, 'a worker', '1', now(), 'failed')",
        [(job_id, attempt, me.tenant_id) for attempt in (1, 2)],
    )
    return job_id


async def many_jobs(owner: Driver, me: NewIdentity, count: int, *, ended: timedelta = LATE) -> None:
    """Finished jobs, each with a line of its beginning and one of its end."""
    await owner.execute(
        "INSERT INTO jobs (id, tenant_id, user_id, kind, state, stage, seq, finished_at) "
        "SELECT gen_random_uuid(), $1, $2, 'test', 'completed', 'completed', 2, "
        "now() - $3::interval - n * interval '1 s' FROM generate_series(1, $4) n",
        *(me.tenant_id, me.user_id, ended, count),
    )
    await owner.execute(
        "INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt, created_at) "
        "SELECT id, e.seq, tenant_id, 'job_progress', at, at, 0, 1, finished_at "
        "FROM jobs CROSS JOIN (VALUES (1, 'queued'), (2, 'completed')) e(seq, at) ON CONFLICT DO NOTHING"
    )
    await owner.execute("ANALYZE jobs, job_events, documents")


async def kept(owner: Driver) -> set[UUID]:
    return {row["id"] for row in await owner.fetch("SELECT id FROM jobs")}


async def history(owner: Driver, job_id: UUID) -> list[str]:
    rows = await owner.fetch("SELECT state FROM job_events WHERE job_id = $1 ORDER BY seq", job_id)
    return [row["state"] for row in rows]


async def age(owner: Driver, job_id: UUID, by: timedelta = LATE) -> None:
    await owner.execute("UPDATE jobs SET finished_at = finished_at - $2::interval WHERE id = $1", job_id, by)
    await owner.execute("UPDATE job_events SET created_at = created_at - $2::interval WHERE job_id = $1", job_id, by)


def pruned(table: str) -> float:
    return float(metrics.pruned_rows.labels(table)._value.get())


async def test_an_old_job_goes_with_its_history(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    old = await a_job(owner, me)
    young = await a_job(owner, me, ended=timedelta(days=29))
    paused = await a_job(owner, me, ended=None)
    before = pruned("jobs")
    await Housekeeping(worker.services).prune()
    assert await kept(owner) == {young, paused}
    assert await history(owner, old) == []
    assert await history(owner, paused) == ["queued", "running", "paused"]
    assert pruned("jobs") == before + 1


async def test_a_documents_own_job_stays_with_its_end(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.run(job.id)
    assert len(await history(owner, job.id)) > 3
    await age(owner, job.id)
    await Housekeeping(worker.services).prune()
    assert await kept(owner) == {job.id}
    assert await history(owner, job.id) == ["completed"]


async def test_it_goes_once_its_document_is_deleted(
    worker: TestWorker, me: NewIdentity, owner: Driver, app_database: Database
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.run(job.id)
    await age(owner, job.id)
    housekeeping = Housekeeping(worker.services)
    await housekeeping.prune()
    assert job.document_id is not None
    async with app_database.transaction(me.tenant_id) as transaction:
        await documents.mark_deleted(transaction, job.document_id)
        await documents.purge(transaction, job.document_id)
    await housekeeping.prune()
    assert await kept(owner) == {job.id}, "only what became old since is looked at"
    await owner.execute("UPDATE chores SET done_at = done_at - interval '1 day' WHERE name = 'prune all jobs'")
    await housekeeping.prune()
    assert await kept(owner) == set()


async def test_what_became_old_since_the_last_look_goes_with_the_next(
    worker: TestWorker, me: NewIdentity, owner: Driver
) -> None:
    housekeeping = Housekeeping(worker.services)
    await housekeeping.prune()
    await a_job(owner, me, ended=MONTH + timedelta(seconds=1))
    await housekeeping.prune()
    assert await kept(owner) == set()


async def test_no_days_keep_nothing_that_has_finished(settings: Settings, me: NewIdentity, owner: Driver) -> None:
    async with working(settings.model_copy(update={"keep_jobs_days": 0.0, "keep_events_days": 0.0}), me) as worker:
        job = await submit(worker, me, b"text", format=Format.TEXT)
        await worker.run(job.id)
        await a_job(owner, me, ended=timedelta(0))
        await Housekeeping(worker.services).prune()
    assert await kept(owner) == {job.id}
    assert await history(owner, job.id) == ["completed"]


async def test_a_parent_goes_with_its_children_and_never_before(
    worker: TestWorker, me: NewIdentity, owner: Driver
) -> None:
    batch = await a_job(owner, me, ended=LATE + timedelta(days=1))
    inner = await a_job(owner, me, parent=batch)
    await a_job(owner, me, parent=inner)
    busy = await a_job(owner, me)
    child = await a_job(owner, me, ended=None, parent=busy)
    await Housekeeping(worker.services).prune()
    assert await kept(owner) == {busy, child}


async def test_a_child_that_is_just_being_added_keeps_its_parent(
    worker: TestWorker, me: NewIdentity, owner: Driver
) -> None:
    parent = await a_job(owner, me)
    async with owner.transaction():
        child = await a_job(owner, me, ended=None, parent=parent)
        await Housekeeping(worker.services).prune()
    assert await kept(owner) == {parent, child}


async def test_a_job_that_is_just_being_retried_stays(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    job_id = await a_job(owner, me)
    await owner.execute("UPDATE jobs SET state = 'failed' WHERE id = $1", job_id)
    async with worker.services.database.transaction() as transaction:
        assert (await steering.apply(transaction.driver, Action.RETRY, [job_id])).rows
        await Housekeeping(worker.services).prune()
    assert await kept(owner) == {job_id}


async def test_old_history_goes_up_to_the_end(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    week_old = await a_job(owner, me, ended=timedelta(days=8))
    fresh = await a_job(owner, me, ended=timedelta(days=6))
    await Housekeeping(worker.services).prune()
    assert await history(owner, week_old) == ["completed"]
    assert await history(owner, fresh) == ["queued", "running", "completed"]


async def test_an_end_that_a_retry_undid_goes_with_the_retry(
    worker: TestWorker, me: NewIdentity, owner: Driver
) -> None:
    job = await submit(worker, me, b"\x00\x01 not a PDF", format=Format.PDF)
    await worker.run(job.id)
    async with worker.services.database.transaction(me.tenant_id) as transaction:
        assert (await steering.apply(transaction.driver, Action.RETRY, [job.id])).rows
    dispatch = await owner.fetchval("SELECT dispatch FROM jobs WHERE id = $1", job.id)
    await worker.run(job.id, dispatch)
    assert (await history(owner, job.id)).count("failed") == 2
    await age(owner, job.id, timedelta(days=8))
    await Housekeeping(worker.services).prune()
    assert await history(owner, job.id) == ["failed"]
    assert await owner.fetchval("SELECT seq FROM job_events") == await owner.fetchval("SELECT seq FROM jobs")


async def test_of_a_job_that_stays_the_last_attempt_does(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    parent = await a_job(owner, me)
    child = await a_job(owner, me, ended=None, parent=parent)
    await Housekeeping(worker.services).prune()
    rows = await owner.fetch("SELECT job_id, attempt FROM job_attempts")
    assert {tuple(row) for row in rows} == {(parent, 2), (child, 1), (child, 2)}


async def test_old_jobs_of_others_do_not_hide_what_may_go(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    await many_jobs(owner, me, 1200, ended=timedelta(days=50))
    paused = await a_job(owner, me, ended=None)
    await owner.execute("UPDATE jobs SET parent_id = $1 WHERE id <> $1", paused)
    child = await a_job(owner, me)
    await owner.execute(
        "INSERT INTO jobs (id, tenant_id, user_id, kind, parent_id) "
        "SELECT gen_random_uuid(), tenant_id, user_id, 'test', id FROM jobs WHERE id <> ALL ($1)",
        [paused, child],
    )
    await Housekeeping(worker.services).prune()
    assert child not in await kept(owner)
    assert len(await kept(owner)) == 2401
    assert await owner.fetchval("SELECT count(*) FROM job_events e JOIN jobs j ON j.id = job_id AND e.seq < j.seq") == 2


async def test_two_workers_prune_each_row_once(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    await many_jobs(owner, me, 2300)
    before = pruned("jobs")

    async def gone() -> bool:
        await asyncio.gather(Housekeeping(worker.services).prune(), Housekeeping(worker.services).prune())
        return not await kept(owner)

    await until(gone)
    assert pruned("jobs") - before == 2300
    assert await owner.fetchval("SELECT count(*) FROM job_events") == 0


async def test_what_another_transaction_deletes_is_not_waited_for(
    worker_database: Database, me: NewIdentity, owner: Driver
) -> None:
    await many_jobs(owner, me, 10)
    async with worker_database.transaction() as first, worker_database.transaction() as second:
        taken = await retention.prune_jobs(first.driver, older=MONTH, most=7, after=Position())
        rest = await retention.prune_jobs(second.driver, older=MONTH, most=100, after=Position())
    assert (taken.looked, taken.jobs) == (7, 7)
    assert (rest.looked, rest.jobs) == (10, 3)


async def test_pruning_touches_only_what_it_deletes(settings: Settings, me: NewIdentity, owner: Driver) -> None:
    await many_jobs(owner, me, 20_000, ended=timedelta(days=1))
    await many_jobs(owner, me, 500)
    await owner.execute("ANALYZE jobs, job_events, documents")  # as autovacuum does after so many rows
    async with owner.transaction():
        before = await _read(owner)  # what was counted and not told yet, of the statements above
        assert await owner.fetchval("SELECT pruned FROM prune_events('7 days', 300, $1)", BEGINNING) == 300
        assert await owner.fetchval(
            "SELECT pruned_jobs FROM prune_jobs('30 days', 300, $1, $2)", BEGINNING, UUID(int=0)
        )
        after = await _read(owner)
    assert {table: after[table]["seq_tup_read"] - before[table]["seq_tup_read"] for table in after} == {
        "jobs": 0,
        "job_events": 0,
        "documents": 0,
    }
    assert max(after[table]["idx_tup_fetch"] - before[table]["idx_tup_fetch"] for table in after) < 5000


async def _read(owner: Driver) -> dict[str, asyncpg.Record]:
    """Rows that this transaction has read."""
    rows = await owner.fetch(
        "SELECT relname, seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables "
        "WHERE relname IN ('jobs', 'job_events', 'documents')"
    )
    return {row["relname"]: row for row in rows}


async def test_sessions_that_are_over_go_with_their_tokens(worker: TestWorker, me: NewIdentity, owner: Driver) -> None:
    over, open_still = new_id(), new_id()
    for session, left in ((over, timedelta(days=-1)), (open_still, timedelta(days=1))):
        await owner.execute(
            "INSERT INTO sessions (id, tenant_id, user_id, expires_at, method) "
            "VALUES ($1, $2, $3, now() + $4::interval, 'password')",
            *(session, me.tenant_id, me.user_id, left),
        )
        await owner.execute(
            "INSERT INTO refresh_tokens (token_hash, session_id, tenant_id, expires_at) "
            "VALUES ($1, $2, $3, now() + $4::interval)",
            *(session.bytes, session, me.tenant_id, left),
        )
    await Housekeeping(worker.services).prune()
    kept = await owner.fetch("SELECT s.id FROM sessions s JOIN refresh_tokens r ON r.session_id = s.id")
    assert [row["id"] for row in kept] == [open_still]


async def test_only_workers_may_prune_and_none_may_delete(
    app_database: Database, worker_database: Database, me: NewIdentity
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.transaction(me.tenant_id) as transaction:
            await retention.prune_jobs(transaction.driver, older=MONTH, most=1, after=Position())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app_database.transaction(me.tenant_id) as transaction:
            await retention.prune_events(transaction.driver, older=MONTH, most=1, after=BEGINNING)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with worker_database.transaction() as transaction:
            await transaction.driver.execute("DELETE FROM jobs")


async def test_it_goes_on_when_postgres_is_away(settings: Settings, me: NewIdentity) -> None:
    async with working(settings.model_copy(update={"housekeeping": 0.01}), me) as worker:
        away = Database("postgresql://nobody@127.0.0.1:9/none", Role.WORKER)  # discard: refused at once
        with capture_logs() as lines:
            running = asyncio.create_task(Housekeeping(replace(worker.services, database=away)).run())

            async def warned_twice() -> bool:
                return [line["event"] for line in lines].count("not pruned") >= 2

            await until(warned_twice)
        assert not running.done()
        assert {line["log_level"] for line in lines} == {"warning"}
        running.cancel()
        await asyncio.wait({running})
        await away.aclose()
