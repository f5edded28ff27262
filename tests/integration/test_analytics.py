"""`GET /analytics/processing` says what a recount of the runs says, out of few rows."""

import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from arqueduct import eta
from arqueduct.database import Database
from arqueduct.durations import RELATIVE_ERROR
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.repositories import stage_runs
from arqueduct.repositories.stage_runs import Run
from arqueduct.settings import Settings
from arqueduct.spans import day_of, hour_of, pieces
from tests.integration.backend import ingest, problem
from tests.integration.many_jobs import Owner, owning
from tests.integration.test_stage_runs import a_run, note
from tests.integration.worker import TestWorker

URL = "/api/v1/analytics/processing"
DAY = timedelta(days=1)


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


async def ask(api: httpx.AsyncClient, **parameters: Any) -> Any:
    answer = await api.get(URL, params={name.rstrip("_"): value for name, value in parameters.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def stage_of(found: Any, name: str) -> Any:
    return next(stage for stage in found["stages"] if stage["stage"] == name)


async def test_a_document_that_was_processed_is_seen_in_every_number(
    api: httpx.AsyncClient, api_worker: TestWorker
) -> None:
    document = await ingest(api, api_worker, b"# Water\n\nIt flows.\n", "water.md")
    await api_worker.services.runs.flush()
    found = await ask(api)
    assert [stage["stage"] for stage in found["stages"]] == ["chunk", "download", "embed", "extract", "store"]
    assert {(stage["runs"], stage["errors"], stage["error_rate"]) for stage in found["stages"]} == {(1, 0, 0.0)}
    (job,), (waiting,) = found["jobs"], found["waits"]
    assert (job["completed"], job["documents"], job["pages"], job["chunks"]) == (1, 1, 1, document["chunks"])
    assert waiting["attempts"] == 1
    assert job["seconds"]["mean"] >= stage_of(found, "extract")["seconds"]["mean"] > 0
    assert sum(done["documents"] for done in found["series"]) == 1
    assert (found["scope"], found["group"], found["relative_error"]) == ("tenant", "hour", RELATIVE_ERROR)


async def test_percentiles_and_errors_equal_a_recount(
    api: httpx.AsyncClient, worker_database: Database, me: NewIdentity
) -> None:
    seconds = [0.001 * 1.07**number for number in range(200)]
    runs = [a_run(me, seconds=each) for each in seconds]
    runs += [a_run(me, code=code) for code in ("pdf_broken", "pdf_broken", "timeout")]
    await note(worker_database, runs)
    stage = stage_of(await ask(api), "extract")
    assert (stage["runs"], stage["errors"]) == (203, 3)
    assert stage["error_rate"] == pytest.approx(3 / 203, abs=1e-6)
    assert stage["errors_by_code"] == {"pdf_broken": 2, "timeout": 1}
    assert stage["seconds"]["mean"] == pytest.approx(sum(seconds) / 200, abs=1e-5)
    for share in (50, 95, 99):
        exact = seconds[math.ceil(share / 100 * 200) - 1]
        assert stage["seconds"][f"p{share}"] == pytest.approx(exact, rel=RELATIVE_ERROR * 1.001)


async def test_each_user_has_numbers_of_his_own_and_the_tenant_those_of_all(
    api: httpx.AsyncClient, worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    other = new_id()
    await owner.execute("INSERT INTO users (id, email, password_hash) VALUES ($1, $2, '')", other, str(other))
    await note(worker_database, [a_run(me), a_run(me, user_id=other), a_run(me, user_id=other, kind="report.write")])
    assert sum(stage["runs"] for stage in (await ask(api))["stages"]) == 3
    assert sum(stage["runs"] for stage in (await ask(api, user="me"))["stages"]) == 1
    theirs = await ask(api, user=str(other))
    assert (theirs["scope"], sum(stage["runs"] for stage in theirs["stages"])) == ("user", 2)
    assert len((await ask(api, user=str(other), kind="report.write"))["stages"]) == 1


async def test_another_tenant_sees_nothing_of_it(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, worker_database: Database, me: NewIdentity
) -> None:
    await note(worker_database, [a_run(me)])
    assert (await ask(api))["stages"]
    for who in ("all", "me", str(me.user_id), str(me.tenant_id)):
        found = await ask(stranger, user=who)
        assert (found["stages"], found["jobs"], found["waits"]) == ([], [], [])


async def test_the_range_is_rounded_to_hours_and_said(
    api: httpx.AsyncClient, worker_database: Database, me: NewIdentity
) -> None:
    await note(worker_database, [_done(me, ago=hours * 3600) for hours in range(72)])
    now = datetime.now(UTC)
    low, high = now - timedelta(hours=50), now - timedelta(hours=3)
    found = await ask(api, from_=low.isoformat(), to=high.isoformat())
    assert datetime.fromisoformat(found["from"]) == hour_of(low)
    assert datetime.fromisoformat(found["to"]) == hour_of(high) + timedelta(hours=1)
    assert found["jobs"][0]["completed"] == 48
    assert [done["jobs"] for done in found["series"]] == [1] * 48
    by_day = await ask(api, from_=low.isoformat(), to=high.isoformat(), group="day")
    assert by_day["jobs"] == found["jobs"]
    assert sum(done["jobs"] for done in by_day["series"]) == 48
    assert 2 <= len(by_day["series"]) <= 4


async def test_where_only_days_are_kept_the_range_is_whole_days(
    api: httpx.AsyncClient, worker_database: Database, me: NewIdentity
) -> None:
    await note(worker_database, [_done(me, ago=40 * 86_400)])
    then = datetime.now(UTC) - 40 * DAY
    found = await ask(api, from_=then.isoformat(), to=(then + timedelta(hours=1)).isoformat())
    assert datetime.fromisoformat(found["from"]) == day_of(then)
    assert found["group"] == "day"
    assert found["jobs"][0]["documents"] == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "group": "hour"},
        {"to": "0001-01-01T00:00:00Z"},
        {"user": "everybody"},
        {"kind": "a kind"},
        {"group": "minute"},
    ],
)
async def test_what_makes_no_sense_is_refused(api: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    problem(await api.get(URL, params=parameters), 422, "invalid_request")


async def test_sums_are_read_and_no_run_however_many_there_are(
    app_database: Database, worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    """Tenants and days that are not asked for are not touched."""
    await seed(owner, me, runs=20_000, days=60)
    await owner.execute("ANALYZE stage_runs, stage_run_sums")
    now = hour_of(datetime.now(UTC))
    parts = pieces(now - timedelta(days=7), now)
    async with app_database.transaction(me.tenant_id) as transaction:
        (plan,) = await transaction.driver.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {stage_runs._SUMS}",
            *(me.tenant_id, [part.span for part in parts], [part.low for part in parts]),
            *([part.high for part in parts], None),
        )
        rows = await stage_runs.sums(transaction, me.tenant_id, parts, None)
    scans = [node for node in _nodes(plan["Plan"]) if "Relation Name" in node]
    assert {node["Relation Name"] for node in scans} == {"stage_run_sums"}
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    read = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    counted = await owner.fetchval(
        "SELECT count(*) FROM stage_run_sums WHERE whose = tenant_id AND began_at >= $1 AND began_at < $2 "
        "AND span = 'day'",
        *(day_of(now) - timedelta(days=7), now),
    )
    assert read < 2 * counted, f"{read:,} rows read of {counted:,} in these days"
    assert sum(row["runs"] for row in rows) == await owner.fetchval(
        "SELECT count(*) FROM stage_runs WHERE ended_at >= $1 AND ended_at < $2", now - timedelta(days=7), now
    )


SEED = """
    SELECT note_stage_runs((SELECT json_agg(r) FROM (
        SELECT $1::uuid AS tenant_id, $2::uuid AS user_id, gen_random_uuid() AS job_id, 1 AS attempt,
            'document.ingest' AS kind, stage, 'application/pdf' AS content_type,
            (1024 * exp(random() * 8))::bigint AS size, random() * $4 * 86400 AS ago,
            mean * exp(random_normal(0, 0.8)) AS seconds,
            CASE WHEN random() < 0.02 AND stage NOT LIKE '*%' THEN (ARRAY['pdf_broken', 'timeout'])[1 + n % 2] END
                AS code,
            1 AS documents, (n % 20)::int AS pages, (n % 80)::int AS chunks
        FROM generate_series(1, $3::int / 7) n, (VALUES ('*wait', 0.5), ('*job', 9.0), ('download', 0.05),
            ('extract', 0.8), ('chunk', 0.1), ('embed', 7.0), ('store', 0.3)) s(stage, mean)
    ) r))
"""


async def seed(owner: Owner, me: NewIdentity, *, runs: int, days: float) -> int:
    """Runs as those of documents, through the function that workers call, spread over the last days."""
    noted = 0
    while noted < runs:
        noted += await owner.fetchval(SEED, me.tenant_id, me.user_id, min(20_000, runs - noted + 6), float(days))
    return noted


def _done(me: NewIdentity, *, ago: float) -> Run:
    return a_run(me, stage=eta.JOB, documents=1, pages=3, chunks=9, ended=time.monotonic() - ago)


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


# ---- what a job that waits is told


async def test_a_queued_job_is_told_when_it_will_be_done_with_its_wait(
    api: httpx.AsyncClient, worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    await owner.execute("INSERT INTO workers (id, version, concurrency) VALUES ('a worker', '1', 2)")
    done = [
        a_run(me, stage=eta.JOB, seconds=20.0, content_type="text/markdown", size=19, job_id=new_id())
        for _ in range(30)
    ]
    first = await _upload(api)
    assert first["eta_seconds"] is None, "nothing was measured"
    await note(worker_database, done)
    later = [await _upload(api) for _ in range(9)]
    told = [(await api.get(f"/api/v1/jobs/{job['id']}")).json() for job in (first, later[3], later[8])]
    seconds = [job["eta_seconds"] for job in told]
    assert 15 <= seconds[0] <= 25, "two run at a time, and it is the first"
    assert seconds[0] < seconds[1] < seconds[2]
    assert 80 <= seconds[2] <= 130, "eight before it, two at a time, and itself"
    for job in told:
        assert job["eta_range"][0] <= job["eta_seconds"] <= job["eta_range"][1]
    listed = (await api.get("/api/v1/jobs")).json()["items"]
    assert {job["eta_seconds"] for job in listed} == {None}
    await owner.execute("DELETE FROM workers")
    assert (await api.get(f"/api/v1/jobs/{first['id']}")).json()["eta_seconds"] is None, "nobody is there"


async def _upload(api: httpx.AsyncClient) -> Any:
    answer = await api.post("/api/v1/documents", files={"file": ("water.md", b"# Water\n\nIt flows.\n")})
    job = answer.json()["job"]
    assert UUID(job["id"])
    return job
