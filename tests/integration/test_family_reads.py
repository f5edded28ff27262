"""What a project or a batch of thousands costs, counted in rows and statements and never in seconds."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from arqueduct.database import Database, Driver, Transaction
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import JobState
from arqueduct.repositories import folding, lists, live, projects
from arqueduct.repositories.children import BATCH
from arqueduct.settings import Settings
from arqueduct_backend import error_report
from arqueduct_backend.error_report import Wanted
from arqueduct_backend.family_status import Pages, files_of, status_of
from tests.integration.family import children_of, family, some_documents

FEW, MANY = 100, 3_000
PAGE = 20
MOST_READ = 450
"""Rows of `jobs` and of the counters: some pages and lists of fixed length, and nothing like `MANY`."""

_READ = """
    SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
    FROM pg_stat_xact_user_tables WHERE relname IN ('jobs', 'parents', 'child_deltas', 'child_errors')
"""

_DOCUMENTS_READ = """
    SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
    FROM pg_stat_xact_user_tables WHERE relname = 'documents'
"""

# Half of them have ended, one of three not well, and a few run.
_IN_THE_MIDDLE = """
    UPDATE jobs j SET
        state = m.state, stage = m.state, progress = m.progress, started_at = now() - interval '1 minute',
        finished_at = CASE WHEN m.state IN ('completed', 'failed') THEN now() END,
        lease_until = CASE WHEN m.state = 'running' THEN now() + interval '1 hour' END,
        error = CASE WHEN m.state = 'failed' THEN '{"code": "document_corrupt", "message": "It is torn."}'::jsonb END
    FROM (
        SELECT id, CASE WHEN n < 8 THEN 'running' WHEN n > $2 / 2 THEN 'queued' WHEN n % 3 = 0 THEN 'failed'
            ELSE 'completed' END AS state, CASE WHEN n <= $2 / 2 THEN 0.5 ELSE 0 END AS progress
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM jobs WHERE parent_id = $1) numbered
    ) m WHERE j.id = m.id AND m.state <> 'queued'
"""

Reading = Callable[[Transaction, NewIdentity, UUID], Awaitable[object]]


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Driver]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def read_status(transaction: Transaction, _me: NewIdentity, parent_id: UUID) -> object:
    job = await lists.job(transaction, parent_id, without=())
    assert job is not None
    return await status_of(transaction, job, parent_id, Pages(limit=PAGE))


async def read_queued(transaction: Transaction, _me: NewIdentity, parent_id: UUID) -> object:
    return await files_of(transaction, parent_id, Pages(limit=PAGE, state=JobState.QUEUED))


async def read_paused(transaction: Transaction, _me: NewIdentity, parent_id: UUID) -> object:
    """Of which there are none."""
    return await files_of(transaction, parent_id, Pages(limit=PAGE, state=JobState.PAUSED))


async def read_failures(transaction: Transaction, _me: NewIdentity, parent_id: UUID) -> object:
    return await error_report.report(transaction.driver, Wanted(parent_id=parent_id), PAGE)


async def read_snapshot(transaction: Transaction, me: NewIdentity, _parent_id: UUID) -> object:
    return await live.of_user(transaction.driver, me.user_id)


async def read_newer(transaction: Transaction, me: NewIdentity, parent_id: UUID) -> object:
    return await live.newer(transaction.driver, [me.user_id], {str(parent_id): 1})


async def read_batches(transaction: Transaction, _me: NewIdentity, _parent_id: UUID) -> object:
    return await lists.jobs_page(transaction, without=(), limit=PAGE, kind=BATCH)


READINGS: list[Reading] = [
    *(read_status, read_queued, read_paused, read_failures, read_snapshot, read_newer, read_batches),
]


@pytest.mark.parametrize("is_analysed", [False, True], ids=["no statistics", "statistics"])
@pytest.mark.parametrize("begun", [False, True], ids=["all wait", "in the middle"])
async def test_what_is_looked_at_does_not_grow_with_the_children(
    app_database: Database, me: NewIdentity, owner: Driver, begun: bool, is_analysed: bool
) -> None:
    await family(app_database, me, FEW)
    parent = await family(app_database, me, MANY)
    if begun:
        await owner.execute(_IN_THE_MIDDLE, parent, MANY)
        async with app_database.transaction(me.tenant_id) as transaction:
            await folding.fold(transaction.driver, [parent])
    if is_analysed:
        await owner.execute("ANALYZE jobs, documents, parents, child_deltas")
    found = {}
    for reading in READINGS:
        for times in (1, 7):  # from the sixth time on Postgres may keep one plan for whatever is asked
            async with app_database.transaction(me.tenant_id) as transaction:
                before = await rows_read(transaction.driver)
                for _ in range(times):
                    await reading(transaction, me, parent)
                found[reading.__name__, times] = (await rows_read(transaction.driver) - before) // times
    assert max(found.values()) < MOST_READ, found


async def rows_read(driver: Driver) -> int:
    """By this connection, of late: what counts is the difference."""
    found: int = await driver.fetchval(_READ)
    return found


@pytest.mark.parametrize("is_analysed", [False, True], ids=["no statistics", "statistics"])
async def test_a_fold_reads_what_was_noted_and_not_the_children(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, is_analysed: bool
) -> None:
    other, parent = await family(app_database, me, FEW), await family(app_database, me, MANY)
    if is_analysed:
        await owner.execute("ANALYZE jobs, parents, child_deltas")
    read = []
    for one in (other, parent):
        ids = (await children_of(app_database, me, one))[:10]
        await owner.execute("UPDATE jobs SET progress = 0.5 WHERE id = ANY ($1)", ids)
        async with worker_database.transaction() as transaction:
            before = await rows_read(transaction.driver)
            assert one in await folding.due(transaction.driver, interval=timedelta(0), most=200)
            await folding.fold(transaction.driver, [one], interval=timedelta(0), waits=False)
            read.append(await rows_read(transaction.driver) - before)
    assert read[1] <= read[0] + 10, read
    assert read[1] < 200, read


@pytest.mark.parametrize("is_analysed", [False, True], ids=["no statistics", "statistics"])
async def test_a_page_of_what_failed_does_not_grow_with_the_failures(
    app_database: Database, me: NewIdentity, owner: Driver, is_analysed: bool
) -> None:
    parent = await family(app_database, me, MANY)
    await owner.execute(
        "UPDATE jobs j SET state = 'failed', error = jsonb_build_object('code', 'timeout'), "
        "finished_at = now() - n * interval '1 s' "
        "FROM (SELECT id, row_number() OVER (ORDER BY id) / 2 AS n FROM jobs WHERE parent_id = $1) numbered "
        "WHERE j.id = numbered.id",
        parent,
    )
    if is_analysed:
        await owner.execute("ANALYZE jobs")
    wanted = Wanted(failed_after=datetime.now(UTC) - timedelta(days=1))
    async with app_database.transaction(me.tenant_id) as transaction:
        first = await error_report.report(transaction.driver, wanted, PAGE)
        before = await rows_read(transaction.driver)
        second = await error_report.report(transaction.driver, wanted, PAGE, first.next_cursor)
        read = await rows_read(transaction.driver) - before
    assert read < MOST_READ
    assert (first.by_code, second.by_code) == ({"timeout": MANY}, None)
    shown = [(item.failed_at, item.job_id) for item in (*first.items, *second.items)]
    assert (len(set(shown)), shown) == (2 * PAGE, sorted(shown, reverse=True))


async def test_duplicates_are_found_in_one_look_at_each_document(
    app_database: Database, me: NewIdentity, owner: Driver
) -> None:
    """All of them have the same bytes, and none was processed."""
    file_set = new_id()
    async with app_database.transaction(me.tenant_id) as transaction:
        ids = await some_documents(transaction.driver, me, 1000)
        await transaction.driver.execute(
            "INSERT INTO file_sets (id, tenant_id, user_id, name) VALUES ($1, $2, $3, 'alike')",
            file_set,
            me.tenant_id,
            me.user_id,
        )
        await transaction.driver.execute(
            "INSERT INTO file_set_files (file_set_id, document_id, tenant_id, path) "
            "SELECT $1, id, $2, id::text FROM unnest($3::uuid[]) id",
            file_set,
            me.tenant_id,
            ids,
        )
    for skips, wanted in ((False, ids), (True, ids[:1])):
        async with app_database.transaction(me.tenant_id) as transaction:
            before: int = await transaction.driver.fetchval(_DOCUMENTS_READ)
            found = await projects.documents_of(transaction, file_set, skips_duplicates=skips)
            read: int = await transaction.driver.fetchval(_DOCUMENTS_READ) - before
        assert found == (sorted(wanted), len(ids) - len(wanted))
        assert read <= 2 * len(ids)
