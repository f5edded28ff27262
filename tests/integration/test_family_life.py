"""What happens to families beside their work: others over the same documents, deletion, age; and who is told."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from arqueduct.database import Database, Driver
from arqueduct.families import Asked, Counts
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import FINAL, JobState
from arqueduct.repositories import children, documents, folding, live, parents, steering, upkeep
from arqueduct.repositories.children import BATCH, Brood
from arqueduct.repositories.retention import Position, prune_jobs
from arqueduct.settings import Settings
from arqueduct_worker.families import Families
from tests.integration.backend import services_of
from tests.integration.family import assert_counted, children_of, family, some_documents
from tests.integration.test_api_projects import file_set, project, run_all
from tests.integration.test_families import fold, job, run
from tests.integration.worker import TestWorker

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Driver]:
    """May do what no role that serves may: make jobs old."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def batch_of(app: Database, me: NewIdentity, document_ids: list[UUID]) -> UUID:
    brood = Brood(
        tenant_id=me.tenant_id,
        user_id=me.user_id,
        parent_kind=BATCH,
        name="a batch",
        kind="document.ingest",
        document_ids=document_ids,
    )
    async with app.transaction(me.tenant_id) as transaction:
        return UUID(str((await children.plant(transaction.driver, brood))["id"]))


async def delete_document(app: Database, me: NewIdentity, document_id: UUID) -> None:
    """As the API does."""
    async with app.transaction(me.tenant_id) as transaction:
        await documents.mark_deleted(transaction, document_id)
        await steering.cancel_of_document(transaction.driver, document_id)


async def end_of(app: Database, worker: Database, me: NewIdentity, parent: UUID) -> dict[str, Any]:
    """The parent's row after a fold, and its counters beside a recount."""
    await fold(worker, parent)
    counts = (await assert_counted(app, me, parent)).counts
    found = await job(app, me, parent)
    assert (found["state"] in FINAL) == (counts.unfinished == 0)
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_batches_over_the_same_documents_are_made_and_worked_on_at_once(
    app_database: Database, worker_database: Database, me: NewIdentity, seed: int
) -> None:
    chance = random.Random(seed)
    async with app_database.transaction(me.tenant_id) as transaction:
        ids = await some_documents(transaction.driver, me, 30)
    gone = chance.sample(ids, 5)

    async def make_and_work() -> UUID:
        parent = await batch_of(app_database, me, chance.sample(ids, 20))
        for child in (await children_of(app_database, me, parent))[:8]:
            await run(worker_database, child, "0.4", chance.choice(["complete", "fail", "retry"]))
        await fold(worker_database, parent)
        return parent

    async def remove() -> None:
        for document_id in gone:
            await delete_document(app_database, me, document_id)

    *made, _ = await asyncio.gather(*(make_and_work() for _ in range(5)), remove())
    for parent in made:
        found = await end_of(app_database, worker_database, me, UUID(str(parent)))
        assert found["children"] == len(await children_of(app_database, me, UUID(str(parent)))) <= 20
    async with app_database.transaction(me.tenant_id) as transaction:
        newest = await transaction.driver.fetch(
            "SELECT d.id, j.document_id FROM documents d JOIN jobs j ON j.id = d.job_id WHERE d.id = ANY ($1)", ids
        )
        waiting = await transaction.driver.fetchval(
            "SELECT count(*) FROM jobs WHERE document_id = ANY ($1) AND state IN ('queued', 'running')", gone
        )
    assert all(row["id"] == row["document_id"] for row in newest)
    assert waiting == 0, "a document that is gone has no work left"


@pytest.mark.parametrize("seed", range(4))
async def test_documents_are_deleted_while_their_batch_runs(
    app_database: Database, worker_database: Database, me: NewIdentity, seed: int
) -> None:
    chance = random.Random(seed)
    async with app_database.transaction(me.tenant_id) as transaction:
        ids = await some_documents(transaction.driver, me, 40)
    parent = await batch_of(app_database, me, ids)
    child_ids = list(await children_of(app_database, me, parent))
    chance.shuffle(child_ids)
    gone, done = chance.sample(ids, 15), asyncio.Event()

    async def work(mine: list[UUID]) -> None:
        for child in mine:
            await run(worker_database, child, "0.3", chance.choice(["complete", "complete", "fail"]))

    async def remove() -> None:
        for document_id in gone:
            await delete_document(app_database, me, document_id)

    async def look() -> None:
        while not done.is_set():
            await fold(worker_database, parent)
            await assert_counted(app_database, me, parent)

    looking = asyncio.create_task(look())
    await asyncio.gather(*(work(child_ids[start::3]) for start in range(3)), remove())
    done.set()
    await looking
    found = await end_of(app_database, worker_database, me, parent)
    assert found["state"] in (JobState.PARTIALLY_COMPLETED, JobState.COMPLETED)
    assert found["details"]["total"] == 40


async def prune(worker: Database, owner: Driver) -> set[UUID]:
    """Makes everything old and looks at all of it twice, as on two days; returns the jobs that stay."""
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '40 days'")
    for _ in range(2):
        position = Position()
        while True:
            async with worker.transaction() as transaction:
                looked = await prune_jobs(transaction.driver, older=MONTH, most=2, after=position)
            position = looked.position
            if looked.looked < 2:
                break
    return {row["id"] for row in await owner.fetch("SELECT id FROM jobs")}


async def apply(worker: Database, owner: Driver, me: NewIdentity) -> set[UUID]:
    """Makes everything old and lets the tenant's policy take it; it takes what it foretold. Returns what stays."""
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '40 days'")
    policy = upkeep.Policy(target=upkeep.Target.JOBS, days=30)
    before = await owner.fetchval("SELECT count(*) FROM jobs")
    async with worker.transaction(me.tenant_id) as transaction:
        foretold = await upkeep.expected(transaction.driver, policy)
        assert await upkeep.count(transaction.driver, policy) == foretold.rows
    position: Position | None = Position()
    while position is not None:
        async with worker.transaction(me.tenant_id) as transaction:
            _, position = await upkeep.prune_jobs(transaction.driver, policy, most=2, after=position)
    stay = {row["id"] for row in await owner.fetch("SELECT id FROM jobs")}
    assert before - len(stay) == foretold.rows
    return stay


async def prune_or_apply(worker: Database, owner: Driver, me: NewIdentity, by: str) -> set[UUID]:
    return await (prune(worker, owner) if by == "age" else apply(worker, owner, me))


async def test_a_project_keeps_its_newest_run_and_no_other(
    api: httpx.AsyncClient,
    api_worker: TestWorker,
    app_database: Database,
    worker_database: Database,
    me: NewIdentity,
    owner: Driver,
) -> None:
    files = await file_set(api, ("one.md", b"# One"), ("two.md", b"# Two"), ("three.pdf", b"%PDF-1.7 torn"))
    made = await project(api, files["id"])
    await run_all(api_worker, api, made["project"]["id"])
    answer = await api.post(f"/api/v1/projects/{made['project']['id']}/runs", json={})
    assert answer.status_code == 202, answer.text
    await run_all(api_worker, api, made["project"]["id"])
    newest = UUID(answer.json()["job"]["id"])
    # Its documents go too: only the project still asks for the run.
    for file in files["files"]:
        await api.delete(f"/api/v1/documents/{file['document_id']}")
    stay = await prune(worker_database, owner)
    assert stay == {newest, *await children_of(app_database, me, newest)}
    assert len(stay) == 4
    assert (await assert_counted(app_database, me, newest)).counts.total == 3
    listed = (await api.get(f"/api/v1/projects/{made['project']['id']}/runs")).json()["items"]
    assert [run["job_id"] for run in listed] == [str(newest)]


@pytest.mark.parametrize("by", ["age", "policy"])
@pytest.mark.parametrize("deleted", [0, 1, 3])
async def test_a_family_goes_as_a_whole_or_stays_as_a_whole(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, deleted: int, by: str
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        ids = await some_documents(transaction.driver, me, 3)
    parent = await batch_of(app_database, me, ids)
    for child in await children_of(app_database, me, parent):
        await run(worker_database, child, "complete")
    await fold(worker_database, parent)
    for document_id in ids[:deleted]:
        await delete_document(app_database, me, document_id)
        await owner.execute("DELETE FROM documents WHERE id = $1", document_id)  # as the sweeper does in the end
    stay = await prune_or_apply(worker_database, owner, me, by)
    if deleted == 3:
        assert stay == set()
    else:
        assert stay == {parent, *await children_of(app_database, me, parent)}
        assert (await assert_counted(app_database, me, parent)).counts.completed == 3


@pytest.mark.parametrize("by", ["age", "policy"])
async def test_a_child_that_was_processed_again_stays_with_its_family(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, by: str
) -> None:
    async with app_database.transaction(me.tenant_id) as transaction:
        ids = await some_documents(transaction.driver, me, 3)
    parent = await batch_of(app_database, me, ids)
    failed, *others = await children_of(app_database, me, parent)
    await run(worker_database, failed, "fail")
    for child in others:
        await run(worker_database, child, "complete")
    await fold(worker_database, parent)
    again = await batch_of(app_database, me, [(await job(app_database, me, failed))["document_id"]])
    for child in await children_of(app_database, me, again):
        await run(worker_database, child, "complete")
    await fold(worker_database, again)
    stay = await prune_or_apply(worker_database, owner, me, by)
    assert stay >= {parent, failed, *others}
    assert (await assert_counted(app_database, me, parent)).counts.failed == 1


async def old_family(app: Database, worker: Database, me: NewIdentity, owner: Driver, count: int) -> UUID:
    """One that may go: the documents are gone."""
    parent = await family(app, me, count)
    for child in await children_of(app, me, parent):
        await run(worker, child, "complete")
    await fold(worker, parent)
    await owner.execute("DELETE FROM documents")
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '40 days'")
    return parent


@pytest.mark.parametrize("by", ["age", "policy"])
async def test_a_family_larger_than_a_page_goes_in_one_piece(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, by: str
) -> None:
    parents_of = {await old_family(app_database, worker_database, me, owner, count) for count in (5, 1, 4)}
    policy = upkeep.Policy(target=upkeep.Target.JOBS, days=30)
    position: Position | None = Position()
    while position is not None:
        async with worker_database.transaction(me.tenant_id) as transaction:
            driver = transaction.driver
            if by == "age":
                looked = await prune_jobs(driver, older=MONTH, most=2, after=position)
                position = None if looked.looked < 2 else looked.position
            else:
                _, position = await upkeep.prune_jobs(driver, policy, most=2, after=position)
        for parent in parents_of & {row["id"] for row in await owner.fetch("SELECT id FROM jobs")}:
            await assert_counted(app_database, me, parent)
    assert await owner.fetchval("SELECT count(*) FROM jobs") == 0


@pytest.mark.parametrize("by", ["age", "policy"])
async def test_a_family_of_which_somebody_holds_a_child_is_left_as_a_whole(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, by: str
) -> None:
    parent = await old_family(app_database, worker_database, me, owner, 3)
    child, *_ = await children_of(app_database, me, parent)
    policy = upkeep.Policy(target=upkeep.Target.JOBS, days=30)
    async with app_database.transaction(me.tenant_id) as transaction:
        await transaction.driver.execute("SELECT FROM jobs WHERE id = $1 FOR NO KEY UPDATE", child)
        async with worker_database.transaction(me.tenant_id) as pruning:
            if by == "age":
                await prune_jobs(pruning.driver, older=MONTH, most=9, after=Position())
            else:
                await upkeep.prune_jobs(pruning.driver, policy, most=9, after=Position())
    assert (await assert_counted(app_database, me, parent)).counts.completed == 3


@pytest.mark.parametrize("by", ["age", "policy"])
async def test_a_family_that_somebody_is_at_is_left_for_another_time(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver, by: str
) -> None:
    parent = await old_family(app_database, worker_database, me, owner, 2)
    policy = upkeep.Policy(target=upkeep.Target.JOBS, days=30)

    async def take() -> int:
        async with worker_database.transaction(me.tenant_id) as transaction:
            if by == "age":
                return (await prune_jobs(transaction.driver, older=MONTH, most=9, after=Position())).jobs
            return (await upkeep.prune_jobs(transaction.driver, policy, most=9, after=Position()))[0]

    async with app_database.transaction(me.tenant_id) as transaction:
        assert await parents.hold(transaction.driver, parent) is not None
        assert await asyncio.wait_for(take(), 10) == 0
    assert await take() == 3


async def test_a_snapshot_shows_the_parent_and_the_children_that_run(
    app_database: Database, me: NewIdentity, owner: Driver
) -> None:
    parent = await family(app_database, me, 2 * live.MOST_CHILDREN)
    ids = await children_of(app_database, me, parent)
    await owner.execute(
        "UPDATE jobs SET state = 'running', lease_until = now() + interval '1 hour' WHERE id = ANY ($1)", ids[:3]
    )
    await owner.execute("UPDATE jobs SET state = 'completed', finished_at = now() WHERE id = $1", ids[3])
    (alone,) = await children_of(app_database, me, await family(app_database, me, 1))
    await owner.execute("DELETE FROM child_deltas")
    await owner.execute("UPDATE jobs SET parent_id = NULL WHERE id = $1", alone)
    async with app_database.transaction(me.tenant_id) as transaction:
        shown = {row["id"] for row in await live.of_user(transaction.driver, me.user_id)}
    assert shown >= {parent, alone, *ids[:4]}
    assert shown.isdisjoint(ids[4:])
    await owner.execute(
        "UPDATE jobs SET state = 'running', lease_until = now() + interval '1 hour' "
        "WHERE parent_id = $1 AND finished_at IS NULL",
        parent,
    )
    async with app_database.transaction(me.tenant_id) as transaction:
        shown = {row["id"] for row in await live.of_user(transaction.driver, me.user_id)}
    assert shown >= {parent, alone}, "however many children run"
    assert len(shown.intersection(ids)) <= 2 * live.MOST_CHILDREN


@contextmanager
def statements_of(app: FastAPI) -> Iterator[list[str]]:
    """What the API asks of Postgres meanwhile."""
    asked: list[str] = []
    engine = services_of(app).database._engine.sync_engine

    def note(record: Any) -> None:
        asked.append(record.query)

    def begin(connection: Any, *_: Any) -> None:
        connection.driver_connection.add_query_logger(note)

    def end(connection: Any, *_: Any) -> None:
        connection.driver_connection.remove_query_logger(note)

    event.listen(engine, "checkout", begin)
    event.listen(engine, "checkin", end)
    try:
        yield asked
    finally:
        event.remove(engine, "checkout", begin)
        event.remove(engine, "checkin", end)


async def test_a_project_is_made_by_as_many_statements_whatever_its_size(
    app: FastAPI, api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    asked = {}
    for files in (1, 2, 200):
        made = await file_set(api, *((f"{n}.txt", f"The {n}th of {files}.".encode()) for n in range(files)))
        with statements_of(app) as statements:
            await project(api, made["id"])
        asked[files] = [statement for statement in statements if "documents" in statement or "jobs" in statement]
    assert len(asked[2]) == len(asked[200]), "the first may prepare something"
    assert 0 < len(asked[200]) < 40


@pytest.mark.parametrize(
    ("earlier", "since", "counts", "last"),
    [
        (Asked.CANCEL, ["cancel", "retry"], Counts(queued=3), None),
        (Asked.PAUSE, ["pause", "resume"], Counts(queued=3), Asked.RESUME),
        (Asked.RESUME, ["pause", "resume", "pause"], Counts(paused=3), Asked.PAUSE),
    ],
)
async def test_a_worker_does_not_undo_what_was_asked_since_it_looked(
    api: httpx.AsyncClient,
    api_worker: TestWorker,
    app_database: Database,
    worker_database: Database,
    me: NewIdentity,
    monkeypatch: pytest.MonkeyPatch,
    earlier: Asked,
    since: list[str],
    counts: Counts,
    last: Asked | None,
) -> None:
    parent = await family(app_database, me, 3)
    for action in since:
        assert (await api.post(f"/api/v1/batches/{parent}/{action}")).status_code == 200

    async def outdated(_: Driver) -> list[dict[str, Any]]:
        return [{"job_id": parent, "tenant_id": me.tenant_id, "asked": earlier}]

    async def forgets_nothing(_: Driver) -> None:
        """As if it came before."""

    monkeypatch.setattr(parents, "asked", outdated)
    monkeypatch.setattr(parents, "forget_resumed", forgets_nothing)
    await Families(api_worker.services).see_to()
    assert (await assert_counted(app_database, me, parent)).counts == counts
    async with worker_database.transaction() as transaction:
        held = await parents.hold(transaction.driver, parent)
    assert held is not None
    assert held["asked"] == last


async def test_several_workers_tell_of_a_parent_once_an_interval(
    api_worker: TestWorker, app_database: Database, worker_database: Database, me: NewIdentity, owner: Driver
) -> None:
    settings = api_worker.services.settings.model_copy(update={"parent_interval": HOUR.total_seconds()})
    workers = [Families(api_worker.with_settings(settings).services) for _ in range(4)]
    parent = await family(app_database, me, 12)
    seq = (await job(app_database, me, parent))["seq"]
    for child in (await children_of(app_database, me, parent))[:8]:
        await run(worker_database, child, "0.5")
        await asyncio.gather(*(worker.fold() for worker in workers))
        assert (await job(app_database, me, parent))["seq"] == seq, "within the interval nobody does"
        await owner.execute("UPDATE parents SET folded_at = folded_at - $2::interval WHERE job_id = $1", parent, HOUR)
        await asyncio.gather(*(worker.fold() for worker in workers))
        seq += 1
        assert (await job(app_database, me, parent))["seq"] == seq
    async with worker_database.transaction() as transaction:
        assert await folding.due(transaction.driver, interval=timedelta(0), most=10) == []
