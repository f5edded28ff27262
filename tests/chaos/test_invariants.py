"""Each rule notices what it is there for."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.chaos import invariants
from tests.integration.worker import submit, working

CRIMES = {
    "every job is final": "UPDATE jobs SET state = 'queued', finished_at = NULL",
    "no job holds a lease": "UPDATE jobs SET lease_owner = 'somebody'",
    "the last event of a job tells its state and its seq": "UPDATE jobs SET seq = seq + 1",
    "seq grows with time": "UPDATE job_events SET created_at = now() - interval '1 hour' WHERE state = 'completed'",
    "fence grows with seq": "UPDATE job_events SET attempt = 7 WHERE stage = 'extracting'",
    "the fence counts every claim": "INSERT INTO job_attempts (job_id, attempt, tenant_id, worker, version, ended_at, "
    "outcome) SELECT id, 2, tenant_id, 'w', '0', now(), 'retried' FROM jobs",
    "no attempt is left open": "UPDATE job_attempts SET ended_at = NULL, outcome = NULL",
    "a completed document has its chunks, from 0 on without a gap": "DELETE FROM chunks WHERE ordinal = 0",
    "every chunk has its vector": "DELETE FROM embeddings",
    "every deletion is finished": "INSERT INTO deletions (document_id, tenant_id) SELECT id, tenant_id FROM documents",
    "a run ends once": "INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt) "
    "SELECT id, seq + 1, tenant_id, 'job_completed', 'completed', 'completed', 1, fence FROM jobs",
    "a completed job has one completed attempt, of its own fence": "UPDATE jobs SET fence = fence + 1",
    "only completed jobs have a completed attempt": "UPDATE jobs SET state = 'failed'",
    "a document has no more chunks than it says": "UPDATE documents SET chunks = 1",
    "only completed documents have chunks": "UPDATE jobs SET state = 'cancelled'",
    "no chunk is of a deleted document": "UPDATE documents SET deleted_at = now()",
}


@pytest.fixture
async def connection(settings: Settings, me: NewIdentity) -> AsyncIterator[asyncpg.Connection]:
    """As the owner, to a database with one document that was processed in peace."""
    async with working(settings, me) as worker:
        job = await submit(worker, me, b"Water flows downhill. " * 200, format=Format.TEXT, name="text-000001.txt")
        await worker.run(job.id)
    assert settings.database_url is not None
    opened = await asyncpg.connect(settings.database_url.get_secret_value())
    yield opened
    await opened.close()


async def test_a_document_that_was_processed_in_peace_breaks_no_rule(
    connection: asyncpg.Connection, me: NewIdentity
) -> None:
    assert await invariants.check(connection) == []
    calm = await invariants.chunks_by_kind(connection, me.tenant_id)
    assert len(calm["text"]) > 2
    assert await invariants.unlike(connection, me.tenant_id, calm) == []
    assert len(await invariants.unlike(connection, me.tenant_id, {"text": ("else",)})) == 1


async def test_every_rule_notices_its_crime(connection: asyncpg.Connection) -> None:
    unbroken = {"every document has its blob"}  # a foreign key keeps it
    assert {*invariants.LOST, *invariants.DOUBLED} == {*CRIMES, *unbroken}
    for rule, crime in CRIMES.items():
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(crime)
        assert rule in {broken.rule for broken in await invariants.check(connection)}
        await transaction.rollback()


async def test_what_was_promised_and_is_not_there_is_named(connection: asyncpg.Connection, me: NewIdentity) -> None:
    (there,) = [row["id"] for row in await connection.fetch("SELECT id FROM jobs")]
    assert await invariants.missing(connection, "jobs", [there]) == []
    assert await invariants.missing(connection, "jobs", [there, me.tenant_id]) == [str(me.tenant_id)]
