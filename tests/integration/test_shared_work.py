"""Small documents that are under way at the same moment share their statements, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from pydantic import SecretStr

from arqueduct.database import Database
from arqueduct.embedding import Vectors
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.models import Job
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import documents
from arqueduct.settings import Settings
from arqueduct.testing import HashingEmbedder
from arqueduct_worker.leases import Stop
from arqueduct_worker.runner import Runner
from tests.integration.wire import Wire, wired
from tests.integration.worker import TestWorker, row, submit, until, working
from tests.servers import Servers

MANY = 24


@pytest.fixture
async def wire(servers: Servers) -> AsyncIterator[Wire]:
    async with wired(servers.postgres.port) as opened:
        yield opened


@pytest.fixture
async def worker(settings: Settings, wire: Wire, me: NewIdentity) -> AsyncIterator[TestWorker]:
    on_wire = settings.model_copy(update={"worker_database_url": SecretStr(wire.url(settings.worker_database_url))})
    async with working(on_wire, me) as opened:
        yield opened


class Meet(Stage):
    """Before the last stage: waits until all are here, and until they may go on."""

    name = "meet"
    label = "meeting"

    def __init__(self, count: int) -> None:
        self.here = 0
        self.all_here, self.go_on = asyncio.Event(), asyncio.Event()
        self._count = count

    async def run(self, context: StageContext) -> None:
        self.here += 1
        if self.here == self._count:
            self.all_here.set()
        await self.go_on.wait()


async def submit_many(worker: TestWorker, me: NewIdentity, count: int) -> list[Job]:
    return [
        await submit(worker, me, f"Text number {number}.".encode(), format=Format.TEXT, name=f"{number}.txt")
        for number in range(count)
    ]


async def run_all(worker: TestWorker, jobs: Sequence[Job]) -> None:
    """As one worker that has taken all their wake-ups."""
    runner = Runner(worker.services)
    await asyncio.gather(*(runner.run(job.id, 0) for job in jobs))


def meeting(worker: TestWorker, count: int) -> tuple[TestWorker, Meet]:
    *before, store = worker.services.registry.stages("document.ingest", without=frozenset({"redact"}))
    meet = Meet(count)
    return worker.with_stages(*before, meet, store), meet


async def states(worker: TestWorker, jobs: Sequence[Job]) -> list[str]:
    return [(await row(worker.services.database, job.id))["state"] for job in jobs]


async def chunks_of(worker: TestWorker, me: NewIdentity, job: Job) -> int:
    async with worker.services.database.transaction(me.tenant_id) as transaction:
        found = await transaction.driver.fetchval("SELECT count(*) FROM chunks WHERE document_id = $1", job.document_id)
    return int(found)


async def test_small_documents_cost_few_round_trips(worker: TestWorker, me: NewIdentity, wire: Wire) -> None:
    await run_all(worker, await submit_many(worker, me, 1))  # prepares the statements
    jobs = await submit_many(worker, me, MANY)
    with wire.counting() as asked:
        await run_all(worker, jobs)
    assert await states(worker, jobs) == ["completed"] * MANY
    assert asked.round_trips <= 6 * MANY
    assert asked.statements <= 6 * MANY


async def test_each_is_stored_and_told_for_itself(worker: TestWorker, me: NewIdentity) -> None:
    jobs = await submit_many(worker, me, 5)
    await run_all(worker, jobs)
    assert [await chunks_of(worker, me, job) for job in jobs] == [1] * 5
    found = [await row(worker.services.database, job.id) for job in jobs]
    assert [(one["pages"], one["chunks"], one["embedding_requests"]) for one in found] == [(1, 1, 1)] * 5
    await until(lambda: _ends_heard(worker, 5))
    for job in jobs:
        steps = [message for message in worker.heard if message.job_id == job.id]
        assert [step.seq for step in steps] == sorted(step.seq for step in steps)
        assert steps[-1].type == "job_completed"


async def _ends_heard(worker: TestWorker, count: int) -> bool:
    return sum(message.type == "job_completed" for message in worker.heard) == count


@pytest.mark.parametrize(
    ("change", "state"),
    [("cancel_requested = true", "cancelled"), ("fence = fence + 1", "running")],
    ids=["a user cancels it", "another attempt has it"],
)
async def test_one_that_may_not_complete_writes_nothing_and_the_others_complete(
    worker: TestWorker, me: NewIdentity, change: str, state: str
) -> None:
    jobs = await submit_many(worker, me, 4)
    worker, meet = meeting(worker, 4)
    running = asyncio.create_task(run_all(worker, jobs))
    await meet.all_here.wait()
    async with worker.services.database.autocommit() as driver:
        await driver.execute(f"UPDATE jobs SET {change} WHERE id = $1", jobs[1].id)
    meet.go_on.set()
    await running
    assert await states(worker, jobs) == ["completed", state, "completed", "completed"]
    assert [await chunks_of(worker, me, job) for job in jobs] == [1, 0, 1, 1]


async def test_what_waits_for_its_turn_is_withdrawn_by_a_stop(worker: TestWorker, me: NewIdentity) -> None:
    jobs = await submit_many(worker, me, 2)
    worker, meet = meeting(worker, 2)
    running = asyncio.create_task(run_all(worker, jobs))
    await meet.all_here.wait()
    turns = worker.services.settings.database_pool_size
    async with AsyncExitStack() as stack:
        for _ in range(turns):
            await stack.enter_async_context(worker.services.stage_database.transaction())
        meet.go_on.set()
        await asyncio.sleep(0)
        worker.services.leases.end(jobs[0].id, Stop.SHUTDOWN)
        await until(lambda: _is_back(worker, jobs[0]))
    await running
    assert await states(worker, jobs) == ["queued", "completed"]
    assert [await chunks_of(worker, me, job) for job in jobs] == [0, 1]


async def _is_back(worker: TestWorker, job: Job) -> bool:
    return (await row(worker.services.database, job.id))["state"] == "queued"


class Held(HashingEmbedder):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.set()
        await self.go_on.wait()
        return await super().embed(texts)


async def test_a_small_document_lends_its_slot_while_it_waits_for_vectors(worker: TestWorker, me: NewIdentity) -> None:
    embedder = Held()
    worker = replace(worker, services=replace(worker.services, embedder=embedder))
    (job,) = await submit_many(worker, me, 1)
    running = asyncio.create_task(worker.run(job.id))
    await embedder.asked.wait()
    assert worker.services.slots.lent == 1
    embedder.go_on.set()
    await running
    assert worker.services.slots.lent == 0


async def test_one_whose_document_is_deleted_takes_nobody_along(
    worker: TestWorker, me: NewIdentity, app_database: Database
) -> None:
    jobs = await submit_many(worker, me, 3)
    worker, meet = meeting(worker, 3)
    running = asyncio.create_task(run_all(worker, jobs))
    await meet.all_here.wait()
    assert jobs[0].document_id is not None
    async with app_database.transaction(me.tenant_id) as transaction:
        assert await documents.mark_deleted(transaction, jobs[0].document_id)
    meet.go_on.set()
    await running
    assert (await states(worker, jobs))[1:] == ["completed", "completed"]
    assert [await chunks_of(worker, me, job) for job in jobs] == [0, 1, 1]


async def test_a_stop_in_the_middle_of_a_shared_end_waits_for_it(worker: TestWorker, me: NewIdentity) -> None:
    jobs = await submit_many(worker, me, 3)
    worker, meet = meeting(worker, 3)
    running = asyncio.create_task(run_all(worker, jobs))
    await meet.all_here.wait()
    database = worker.services.database
    async with database.transaction() as holding:
        await holding.driver.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", jobs[0].id)
        meet.go_on.set()
        await until(lambda: _waits_for_a_row(database))
        for job in jobs:
            worker.services.leases.end(job.id, Stop.SHUTDOWN)
    await running
    first, *others = await states(worker, jobs)
    assert first == "completed"
    assert set(others) <= {"completed", "queued"}, "who was not in that transaction went back into the queue"
    completed = 1 + others.count("completed")
    await until(lambda: _ends_heard(worker, completed))


async def _waits_for_a_row(database: Database) -> bool:
    async with database.autocommit() as driver:
        return bool(
            await driver.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock')"
            )
        )
