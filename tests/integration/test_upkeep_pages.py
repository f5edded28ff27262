"""What is old is found page by page, each row once, and by an index; and what got work meanwhile is left."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from arqueduct.database import Database
from arqueduct.identity import NewIdentity
from arqueduct.repositories import upkeep
from arqueduct.repositories.upkeep import OLDEST, Policy, Target
from arqueduct.settings import Settings
from tests.integration.many_jobs import Owner, insert_many, owning
from tests.integration.test_upkeep import many_documents

DOCUMENTS = Policy(target=Target.DOCUMENTS, days=10)
JOBS = Policy(target=Target.JOBS, days=10)


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as opened:
        yield opened


async def test_old_documents_are_found_behind_the_last_one(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    """All came at one moment: then their ids are in order."""
    await many_documents(owner, me, 7)
    seen, place = list[UUID](), OLDEST
    async with worker_database.transaction(me.tenant_id) as transaction:
        while found := await upkeep.old_documents(transaction.driver, DOCUMENTS, most=3, after=place):
            seen += [row["id"] for row in found]
            place = upkeep.place_of(found[-1])
    assert seen == [row["id"] for row in await owner.fetch("SELECT id FROM documents ORDER BY id")]


async def test_a_document_that_got_a_job_while_it_was_being_locked_is_left(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    await many_documents(owner, me, 3)
    first, *others = [row["id"] for row in await owner.fetch("SELECT id FROM documents ORDER BY id")]
    async with worker_database.transaction(me.tenant_id) as transaction:

        class Late:
            """A connection on which the first document gets its job between two statements."""

            is_late = False

            async def fetch(self, statement: str, *arguments: object) -> Any:
                rows = await transaction.driver.fetch(statement, *arguments)
                if not self.is_late:
                    self.is_late = True
                    await insert_many(owner, me, "queued", document_id=first)
                return rows

        late: Any = Late()
        (found,) = await upkeep.old_documents(late, DOCUMENTS, most=1)
    assert found["id"] == others[0]


async def test_counting_jobs_sees_families_by_their_parents(
    worker_database: Database, me: NewIdentity, owner: Owner, new_identity: Any
) -> None:
    alone = await insert_many(owner, me, "completed", 3)
    head, other_head = await insert_many(owner, me, "failed", 2)
    await insert_many(owner, await new_identity(), "completed", 4)
    children = await insert_many(owner, me, "completed", 2)
    (open_child,) = await insert_many(owner, me, "queued")
    await owner.execute("UPDATE jobs SET parent_id = $2::uuid WHERE id = ANY ($1::uuid[])", children, head)
    await owner.execute("UPDATE jobs SET parent_id = $2::uuid WHERE id = $1::uuid", open_child, other_head)
    await owner.execute("UPDATE jobs SET finished_at = finished_at - interval '11 days'")
    async with worker_database.transaction(me.tenant_id) as transaction:
        told = await upkeep.expected(transaction.driver, JOBS)
        failed = Policy(target=Target.JOBS, days=10, states=["failed"])
        assert await upkeep.count(transaction.driver, failed) == 3
    assert (told.rows, set(told.sample)) == (6, {*alone, head, *children})


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT FROM blobs b WHERE place = 'hot' AND id > $1 ORDER BY id LIMIT 5", "blobs_tenant_id_id_idx"),
        (
            "SELECT FROM jobs WHERE tenant_id = current_tenant() AND finished_at < now() AND "
            "(finished_at, id) > ('-infinity', $1) ORDER BY finished_at, id LIMIT 5",
            "jobs_tenant_finished_idx",
        ),
    ],
    ids=["originals", "jobs"],
)
async def test_the_next_of_a_tenant_are_found_by_an_index(
    worker_database: Database, me: NewIdentity, owner: Owner, new_identity: Any, statement: str, index: str
) -> None:
    for who in (me, await new_identity()):
        await many_documents(owner, who, 3000)
        await insert_many(owner, who, "completed", 3000)
    await owner.execute("ANALYZE blobs, jobs")
    async with worker_database.transaction(me.tenant_id) as transaction:
        await transaction.driver.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = await transaction.driver.fetch(f"EXPLAIN (COSTS OFF) {statement}", UUID(int=0))
    assert index in "\n".join(row[0] for row in plan)
