"""What is asked of a large set costs what the set is large, not what the tables are; and its numbers are a recount."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories import file_sets
from arqueduct.settings import Settings
from tests.integration.file_sets import SETS, make, statistics
from tests.integration.many_jobs import Owner, owning

FILES = 10_000
OTHERS = 30_000


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def crowd(owner: Owner, me: NewIdentity, file_set_id: UUID, other_id: UUID) -> None:
    """10,000 documents in one set, the others in another one; every tenth failed, every fourth has no job."""
    await owner.execute(
        "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES (time_ordered_id(), $1, 'all of them', 1)", me.tenant_id
    )
    await owner.execute(
        """
        WITH made AS (
            INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, language,
                pages, chunks, tokens)
            SELECT time_ordered_id(), $1, $2, (SELECT id FROM blobs), CASE WHEN n % 4 > 0 THEN time_ordered_id() END,
                n::text, CASE WHEN n % 3 = 0 THEN 'application/pdf' ELSE 'text/plain' END, n, n::text, 'english',
                n % 7, n % 50, n % 1000
            FROM generate_series(1, $3) n RETURNING id, job_id, name::int AS n
        ), jobs AS (
            INSERT INTO jobs (id, tenant_id, user_id, kind, document_id, state, stage, finished_at)
            SELECT job_id, $1, $2, 'document.ingest', id, CASE WHEN n % 10 = 1 THEN 'failed' ELSE 'completed' END,
                'completed', now()
            FROM made WHERE job_id IS NOT NULL
        )
        INSERT INTO file_set_files (file_set_id, document_id, tenant_id, path)
        SELECT CASE WHEN n <= $4 THEN $5::uuid ELSE $6::uuid END, id, $1, n::text FROM made
        """,
        me.tenant_id,
        me.user_id,
        FILES + OTHERS,
        FILES,
        file_set_id,
        other_id,
    )
    await owner.execute("ANALYZE documents, jobs, file_set_files")


async def plan(owner: Owner, me: NewIdentity, statement: str, *values: object) -> str:
    """As the API asks, where row-level security holds."""
    async with owner.transaction():
        await owner.execute("SELECT set_config('role', 'arqueduct_app', true)")
        await owner.execute("SELECT set_config('app.tenant_id', $1, true)", str(me.tenant_id))
        rows = await owner.fetch(f"EXPLAIN (COSTS OFF) {statement}", *values)
    return "\n".join(row[0] for row in rows)


async def test_no_table_is_read_as_a_whole(api: httpx.AsyncClient, owner: Owner, me: NewIdentity) -> None:
    large, other = [UUID((await make(api, name=name))["id"]) for name in ("Large", "Other")]
    await crowd(owner, me, large, other)
    beginning = UUID(int=0)
    for statement, values in (
        (file_sets._STATISTICS, (large,)),
        (file_sets._STATE, (large,)),
        (file_sets._TAKEN, (large, ["1", "2"], ["3"])),
        (file_sets._PAGE_OF_FILES, (large, beginning, 50, None)),
        (file_sets._PAGE_OF_FILES, (large, beginning, 50, "failed")),
        (file_sets._ONLY_HERE, (large, [new_id() for _ in range(250)])),
    ):
        found = await plan(owner, me, statement, *values)
        assert "Seq Scan on documents" not in found, found
        assert "Seq Scan on jobs" not in found, found


async def test_numbers_of_a_large_set_are_a_recount(api: httpx.AsyncClient, owner: Owner, me: NewIdentity) -> None:
    large, other = [UUID((await make(api, name=name))["id"]) for name in ("Large", "Other")]
    await crowd(owner, me, large, other)
    told = await statistics(api, {"id": str(large)})
    numbers = range(1, FILES + 1)
    assert told["total"] == {
        "files": FILES,
        "bytes": sum(numbers),
        "pages": sum(n % 7 for n in numbers),
        "chunks": sum(n % 50 for n in numbers),
        "tokens": sum(n % 1000 for n in numbers),
    }
    assert {kind: part["files"] for kind, part in told["by_type"].items()} == {
        "application/pdf": sum(n % 3 == 0 for n in numbers),
        "text/plain": sum(n % 3 > 0 for n in numbers),
    }
    failed, waiting = sum(n % 10 == 1 and n % 4 > 0 for n in numbers), FILES // 4
    by_status = {status: part["files"] for status, part in told["by_status"].items()}
    assert by_status == {"uploaded": waiting, "failed": failed, "completed": FILES - waiting - failed}
    listed = await api.get(f"{SETS}/{large}/files", params={"status": "failed", "limit": 200})
    files = listed.json()["items"]
    assert len(files) == 200
    assert all(int(file["path"]) % 10 == 1 and int(file["path"]) % 4 for file in files)
    ids = [file["document"]["id"] for file in files]
    assert ids == sorted(ids)


async def test_a_large_set_is_deleted_with_its_documents(api: httpx.AsyncClient, owner: Owner, me: NewIdentity) -> None:
    large, other = [UUID((await make(api, name=name))["id"]) for name in ("Large", "Other")]
    await crowd(owner, me, large, other)
    assert (await api.delete(f"{SETS}/{large}", params={"documents": "true"})).status_code == 204
    assert await owner.fetchval("SELECT count(*) FROM documents WHERE deleted_at IS NULL") == OTHERS
    assert await owner.fetchval("SELECT count(*) FROM file_set_files") == OTHERS
    batches = await owner.fetchval(
        "SELECT count(*) FROM audit_log WHERE action = 'delete_file_set' AND before ? 'document_ids'"
    )
    assert batches == FILES // 250
