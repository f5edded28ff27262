"""How long stages take is written down, summed and learnt from; the sums always equal a recount of the runs."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from arqueduct import eta, metrics
from arqueduct.database import Database, Role
from arqueduct.durations import RELATIVE_ERROR, bucket_of
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.pipeline import Stage, StageContext
from arqueduct.repositories import jobs, stage_runs
from arqueduct.repositories.stage_runs import Run
from arqueduct.settings import Settings
from arqueduct.webhooks.kinds import DELIVER
from arqueduct_worker import run_log
from arqueduct_worker.housekeeping import Housekeeping
from arqueduct_worker.run_log import RunLog
from arqueduct_worker.sweeper import Sweeper
from tests.integration.many_jobs import Owner, owning
from tests.integration.test_attempts import Stuck
from tests.integration.worker import TestWorker, row, submit, until, working

STAGES = ("download", "extract", "chunk", "embed", "store")


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    async with owning(settings) as connection:
        yield connection


def a_run(me: NewIdentity, **given: Any) -> Run:
    usual = {"tenant_id": me.tenant_id, "user_id": me.user_id, "job_id": new_id(), "attempt": 1, "stage": "extract"}
    return Run(**{**usual, "kind": "document.ingest", "seconds": 1.0, "ended": time.monotonic(), **given})


async def runs_of(owner: Owner, job_id: UUID) -> dict[str, dict[str, Any]]:
    rows = await owner.fetch("SELECT * FROM stage_runs WHERE job_id = $1", job_id)
    return {found["stage"]: dict(found) for found in rows}


async def note(database: Database, runs: Sequence[Run]) -> int:
    async with database.autocommit() as driver:
        return await stage_runs.note(driver, runs, time.monotonic())


class Broken(Stage):
    """Fails as nobody foresaw."""

    name = "break"
    label = "breaking"

    async def run(self, context: StageContext) -> None:
        raise ValueError(f"no {context.job.attempt}")


async def test_every_stage_of_a_job_is_a_run_and_so_are_its_wait_and_the_whole(
    worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    job = await submit(worker, me, b"# Water\n\nIt flows.\n", format=Format.MARKDOWN)
    await worker.run(job.id)
    await worker.services.runs.flush()
    runs = await runs_of(owner, job.id)
    assert set(runs) == {*STAGES, eta.WAIT, eta.JOB}
    assert {found["outcome"] for found in runs.values()} == {"ok"}
    assert sum(runs[stage]["seconds"] for stage in STAGES) <= runs[eta.JOB]["seconds"]
    whole = runs[eta.JOB]
    assert (whole["documents"], whole["pages"], whole["chunks"]) == (1, 1, 1)
    assert (whole["content_type"], whole["size"], whole["user_id"]) == ("text/markdown", 19, me.user_id)
    assert await recount(owner) == await sums(owner)


async def test_a_stage_that_fails_is_an_error_in_each_attempt(
    worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    failing = worker.with_stages(Broken())
    await failing.run(job.id)
    await failing.run(job.id, (await row(worker.services.database, job.id))["dispatch"])
    await worker.services.runs.flush()
    rows = await owner.fetch("SELECT attempt, code FROM stage_runs WHERE stage = 'break' ORDER BY attempt")
    assert [tuple(found) for found in rows] == [(1, "internal_error"), (2, "internal_error")]
    assert eta.JOB not in await runs_of(owner, job.id)


async def test_a_stage_that_ran_out_of_time_is_an_error_and_one_that_was_cancelled_is_none(
    worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    limits = worker.services.settings.model_copy(update={"time_limits": {"document.ingest": (0.5, 1.0)}})
    await worker.with_settings(limits).with_stages(Stuck()).run(job.id)
    cancelled = await submit(worker, me, b"text", format=Format.TEXT)
    running = asyncio.create_task(worker.with_stages(Stuck()).run(cancelled.id))

    async def began() -> bool:
        return bool((await row(worker.services.database, cancelled.id))["state"] == "running")

    await until(began)
    await owner.execute("UPDATE jobs SET cancel_requested = true WHERE id = $1", cancelled.id)
    await running
    await worker.services.runs.flush()
    assert (await runs_of(owner, job.id))["stuck"]["code"] == "timeout"
    assert set(await runs_of(owner, cancelled.id)) == {eta.WAIT}


async def test_an_attempt_whose_worker_died_is_an_error_of_the_stage_it_was_in(
    worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    async with worker.services.database.transaction() as transaction:
        await jobs.claim(transaction.driver, [(job.id, 0)], "a dead worker", timedelta(seconds=-1))
    await owner.execute("UPDATE jobs SET stage = 'embedding' WHERE id = $1", job.id)

    async def recovered() -> bool:
        await Sweeper(worker.services).sweep()
        return bool((await row(worker.services.database, job.id))["state"] == "queued")

    await until(recovered)
    await worker.services.runs.flush()
    died = (await runs_of(owner, job.id))["embed"]
    assert (died["outcome"], died["code"], died["attempt"]) == ("error", "worker_died", 1)


async def test_deliveries_of_webhooks_are_left_out(worker: TestWorker, me: NewIdentity, owner: Owner) -> None:
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await owner.execute("UPDATE jobs SET kind = $2 WHERE id = $1", job.id, DELIVER)
    await worker.with_stages().run(job.id)
    await worker.services.runs.flush()
    assert await runs_of(owner, job.id) == {}


async def test_a_run_that_comes_twice_counts_once(worker_database: Database, me: NewIdentity, owner: Owner) -> None:
    run = a_run(me)
    assert await note(worker_database, [run, run]) == 1
    assert await note(worker_database, [run]) == 0
    assert await owner.fetchval("SELECT sum(runs) FROM stage_run_sums WHERE span = 'day' AND whose = tenant_id") == 1
    assert await owner.fetchval("SELECT weight FROM stage_rates") == 1


async def test_runs_of_a_tenant_that_is_gone_are_passed_over(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    assert await note(worker_database, [a_run(me, tenant_id=new_id()), a_run(me)]) == 1
    assert await recount(owner) == await sums(owner)


async def test_what_does_not_fit_is_dropped_and_counted(
    worker: TestWorker, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "MOST", 3)
    before = metrics.stage_runs_dropped._value.get()
    job = await submit(worker, me, b"text", format=Format.TEXT)
    await worker.run(job.id)
    assert (await row(worker.services.database, job.id))["state"] == "completed"
    assert metrics.stage_runs_dropped._value.get() - before == len(STAGES) + 2 - 3


async def test_a_run_that_is_nonsense_is_dropped_alone(worker: TestWorker, me: NewIdentity, owner: Owner) -> None:
    before = metrics.stage_runs_dropped._value.get()
    log = worker.services.runs
    job = new_id()
    for number in range(20):
        log._take(a_run(me, job_id=job, stage="\0" if number == 13 else f"stage {number}"))
    await log.flush()
    assert set(await runs_of(owner, job)) == {f"stage {number}" for number in range(20) if number != 13}
    assert metrics.stage_runs_dropped._value.get() - before == 1
    assert await recount(owner) == await sums(owner)


async def test_runs_wait_while_postgres_is_away(worker: TestWorker, me: NewIdentity, owner: Owner) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", Role.WORKER, pool_size=2)
    away = RunLog(nowhere)
    job = await submit(worker, me, b"text", format=Format.TEXT)
    before = metrics.stage_runs_dropped._value.get()
    await replace(worker, services=replace(worker.services, runs=away)).run(job.id)
    await away.flush()
    assert await runs_of(owner, job.id) == {}
    away._database = worker.services.database
    await away.flush()
    assert len(await runs_of(owner, job.id)) == len(STAGES) + 2
    assert metrics.stage_runs_dropped._value.get() == before
    await nowhere.aclose()


async def test_the_background_task_writes_and_brings_the_rates(
    worker: TestWorker, me: NewIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(run_log, "REFRESH_SECONDS", 0.01)
    log = worker.services.runs
    task = asyncio.create_task(log.run())
    job = await submit(worker, me, b"# Water\n\nIt flows.\n", format=Format.MARKDOWN)
    await worker.run(job.id)

    async def learnt() -> bool:
        return log.rates.guess("document.ingest", "store", "text/markdown", 19) is not None

    await until(learnt)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_job_like_one_before_knows_how_long_it_takes(worker: TestWorker, me: NewIdentity) -> None:
    for word in (b"one", b"two", b"three"):
        await worker.run((await submit(worker, me, word, format=Format.TEXT)).id)
    await worker.services.runs.flush()
    async with worker.services.database.autocommit() as driver:
        worker.services.runs.rates = await stage_runs.rates(driver)
    worker.heard.clear()
    job = await submit(worker, me, b"four", format=Format.TEXT)
    await worker.run(job.id)

    async def ended() -> bool:
        return any(message.type == "job_completed" for message in worker.heard)

    await until(ended)
    told = [message for message in worker.heard if message.type == "job_progress"]
    assert told
    for message in told:
        assert message.eta_seconds is not None
        assert message.eta_range is not None
        assert message.eta_range[0] <= message.eta_seconds <= message.eta_range[1]
    done = next(message for message in worker.heard if message.type == "job_completed")
    assert (done.eta_seconds, done.eta_range) == (0, None)


async def test_old_runs_and_sums_leave_each_in_its_time(
    settings: Settings, worker: TestWorker, me: NewIdentity, owner: Owner
) -> None:
    await note(worker.services.database, [a_run(me), a_run(me)])
    await owner.execute("UPDATE stage_runs SET ended_at = ended_at - interval '40 days'")
    await owner.execute("UPDATE stage_run_sums SET began_at = began_at - interval '40 days'")
    await note(worker.services.database, [a_run(me)])
    await Housekeeping(worker.services).prune()
    assert await owner.fetchval("SELECT count(*) FROM stage_runs") == 1
    spans = await owner.fetch("SELECT span, sum(runs)::int AS runs FROM stage_run_sums GROUP BY 1 ORDER BY 1")
    assert [tuple(found) for found in spans] == [("day", 6), ("hour", 2), ("week", 6)], "each twice"
    younger = worker.services.settings.model_copy(update={"keep_analytics_days": 10.0})
    await Housekeeping(worker.with_settings(younger).services).prune()
    assert await owner.fetchval("SELECT sum(runs)::int FROM stage_run_sums WHERE span = 'day'") == 2


# ---- the sums are the runs, whoever writes them when


runs_given = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.integers(0, 2),
            "kind": st.sampled_from(["document.ingest", "report.write"]),
            "stage": st.sampled_from(["extract", "embed", eta.WAIT, eta.JOB]),
            "seconds": st.floats(0, 100_000) | st.floats(0.001, 3),
            "ago": st.floats(0, 3 * 86_400),
            "code": st.none() | st.none() | st.sampled_from(["pdf_broken", "timeout"]),
            "pages": st.integers(0, 2**31 - 1),
            "chunks": st.integers(0, 500),
            "content_type": st.sampled_from([None, "text/plain", "application/pdf"]),
            "size": st.none() | st.integers(0, 2**40),
        }
    ),
    min_size=1,
    max_size=80,
)


async def test_the_sums_equal_a_recount_whatever_is_noted_by_how_many_at_once(
    worker_database: Database, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Owner
) -> None:
    people = [await new_identity() for _ in range(3)]
    people[1] = replace(people[1], tenant_id=people[0].tenant_id)

    @hypothesis_settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    @given(batches=st.lists(runs_given, min_size=1, max_size=4))
    async def check(batches: list[list[dict[str, Any]]]) -> None:
        await owner.execute("TRUNCATE stage_runs, stage_run_sums, stage_rates")
        runs = [[_made(people, each) for each in batch] for batch in batches]
        again = [run for batch in runs for run in batch[::3]]
        noted = await asyncio.gather(*(note(worker_database, batch) for batch in [*runs, again]))
        assert sum(noted) == sum(map(len, runs))
        assert await recount(owner) == await sums(owner)
        await _check_percentiles(owner)
        await _check_series(owner)

    await _run_examples(check)


async def _run_examples(check: Any) -> None:
    """Hypothesis calls functions that are no coroutines: each example runs on this loop, the search in a thread."""
    loop = asyncio.get_running_loop()
    inner = check.hypothesis.inner_test

    def on_loop(*args: Any, **kwargs: Any) -> None:
        asyncio.run_coroutine_threadsafe(inner(*args, **kwargs), loop).result()

    check.hypothesis.inner_test = on_loop
    await asyncio.to_thread(check)


async def test_workers_that_write_at_once_do_not_deadlock(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    """The same keys in opposite orders, many times over."""
    stages = [f"stage{number}" for number in range(20)]

    async def write(order: Sequence[str]) -> None:
        for _ in range(8):
            await note(worker_database, [a_run(me, stage=stage, seconds=float(len(stage))) for stage in order])

    await asyncio.gather(*(write(stages[:: 1 - 2 * (number % 2)]) for number in range(4)))
    assert await owner.fetchval("SELECT count(*) FROM stage_runs") == 4 * 8 * 20
    assert await recount(owner) == await sums(owner)


async def test_the_schema_and_the_code_share_classes_and_buckets(owner: Owner) -> None:
    sizes = [0, 1, 1023, 1024, 1025, 2047, 2048, 10_000, 2**20 - 1, 2**20, 2**29, 2**50]
    found = await owner.fetch("SELECT size_class(s) AS c FROM unnest($1::bigint[]) s", sizes)
    assert [each["c"] for each in found] == [eta.size_class(size) for size in sizes]
    assert await owner.fetchval("SELECT size_class(NULL)") == eta.size_class(None)
    seconds = [0.0, 0.0005, 0.001, 0.0011, 0.5, 1.0, 1.7, 60.0, 3600.5, 1e6]
    found = await owner.fetch("SELECT duration_bucket(s) AS b FROM unnest($1::float8[]) s", seconds)
    assert [each["b"] for each in found] == [bucket_of(each) for each in seconds]


# ---- rates


async def test_rates_are_mean_and_variance_of_the_logarithm(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    taken = [1.0, 2.0, 4.0, 8.0]
    await note(worker_database, [a_run(me, seconds=each) for each in taken[:3]])
    await note(worker_database, [a_run(me, seconds=taken[3]), a_run(me, seconds=99.0, code="pdf_broken")])
    found = await owner.fetchrow("SELECT weight, mean, variance FROM stage_rates")
    assert found is not None
    logs = [math.log(each) for each in taken]
    mean = sum(logs) / 4
    assert found["weight"] == pytest.approx(4, abs=1e-3)
    assert found["mean"] == pytest.approx(mean, abs=1e-3)
    assert found["variance"] == pytest.approx(sum((each - mean) ** 2 for each in logs) / 4, abs=1e-3)


async def test_rates_forget(worker_database: Database, me: NewIdentity, owner: Owner) -> None:
    await note(worker_database, [a_run(me, seconds=1.0) for _ in range(10)])
    await owner.execute("UPDATE stage_rates SET updated_at = now() - interval '2 days'")
    await note(worker_database, [a_run(me, seconds=10.0) for _ in range(10)])
    found = await owner.fetchrow("SELECT weight, mean FROM stage_rates")
    assert found is not None
    assert found["weight"] == pytest.approx(12.5, abs=0.01), "a quarter of ten, and ten"
    assert found["mean"] == pytest.approx(math.log(10) * 0.8, abs=0.01)
    await note(worker_database, [a_run(me, seconds=100.0) for _ in range(500)])
    found = await owner.fetchrow("SELECT weight, mean FROM stage_rates")
    assert found is not None
    assert found["weight"] == 60
    assert found["mean"] == pytest.approx(math.log(100), abs=0.5), "a batch counts as sixty at most"


async def test_expected_work_is_what_such_jobs_took_and_else_a_rule(
    worker_database: Database, me: NewIdentity, owner: Owner
) -> None:
    ask = "SELECT expected_work('document.ingest', 'text/plain', $1)"
    assert await owner.fetchval(ask, 2_048_000) == 200 + 1000
    runs = [a_run(me, stage=eta.JOB, content_type="text/plain", size=2_048_000, seconds=3.0) for _ in range(5)]
    await note(worker_database, runs)
    assert await owner.fetchval(ask, 2_048_001) == pytest.approx(3000, rel=0.001)
    assert await owner.fetchval(ask, 10) == 200
    assert await owner.fetchval("SELECT expected_work('a.kind', NULL, NULL)") == 200
    assert await owner.fetchval(ask, 2**62) == 2**31 - 1
    for role in Role:
        async with owner.transaction():
            await owner.execute(f"SET LOCAL ROLE {role}")
            assert await owner.fetchval(ask, 2_048_001) == pytest.approx(3000, rel=0.001)


# ---- the count that everything else must equal


RECOUNT = """
    SELECT f.tenant_id, w.whose, p.span, date_trunc(p.span, f.ended_at, 'UTC') AS began_at, f.kind, f.stage,
        coalesce(f.code, '') AS code, count(*)::bigint AS runs,
        sum(round(f.seconds * 1000000)::bigint)::bigint AS microseconds, sum(f.documents)::bigint AS documents,
        sum(f.pages)::bigint AS pages, sum(f.chunks)::bigint AS chunks
    FROM stage_runs f CROSS JOIN (VALUES ('hour'), ('day'), ('week')) p(span)
        CROSS JOIN LATERAL (VALUES (f.tenant_id), (f.user_id)) w(whose)
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
"""
SUMS = """
    SELECT tenant_id, whose, span, began_at, kind, stage, code, sum(runs)::bigint AS runs,
        sum(microseconds)::bigint AS microseconds, sum(documents)::bigint AS documents, sum(pages)::bigint AS pages,
        sum(chunks)::bigint AS chunks
    FROM stage_run_sums WHERE span IN ('hour', 'day', 'week') GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
"""


async def recount(owner: Owner) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in await owner.fetch(RECOUNT)]


async def sums(owner: Owner) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in await owner.fetch(SUMS)]


async def _check_percentiles(owner: Owner) -> None:
    """Each bucket holds just the runs whose seconds it stands for."""
    far = await owner.fetchval(
        "SELECT count(*) FROM stage_run_sums s WHERE s.span NOT LIKE '%done' AND s.runs <> ("
        "SELECT count(*) FROM stage_runs r "
        "WHERE r.tenant_id = s.tenant_id AND s.whose IN (r.tenant_id, r.user_id) AND r.kind = s.kind "
        "AND r.stage = s.stage AND coalesce(r.code, '') = s.code "
        "AND date_trunc(s.span, r.ended_at, 'UTC') = s.began_at AND (greatest(r.seconds, 0.001) "
        "BETWEEN power($1::float8, s.bucket - 1) * (1 - 1e-9) AND power($1::float8, s.bucket) * (1 + 1e-9)))",
        (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR),
    )
    assert far == 0


async def _check_series(owner: Owner) -> None:
    """What a series is made of is the same sums, of jobs that completed, without buckets."""
    done, counted = [
        await owner.fetch(
            "SELECT tenant_id, whose, began_at, kind, stage, sum(runs), sum(microseconds), sum(documents), sum(pages), "
            "sum(chunks) FROM stage_run_sums WHERE span = ANY ($1) AND stage = $2 AND code = '' "
            "GROUP BY span, 1, 2, 3, 4, 5 ORDER BY span LIKE 'day%', 1, 2, 3, 4, 5",
            *(spans, eta.JOB),
        )
        for spans in (["hours done", "days done"], ["hour", "day"])
    ]
    assert done == counted
    assert (
        await owner.fetchval("SELECT count(*) FROM stage_run_sums WHERE span LIKE '%done' AND stage <> $1", eta.JOB)
        == 0
    )


def _made(people: Sequence[NewIdentity], given: dict[str, Any]) -> Run:
    given = json.loads(json.dumps(given))
    who = people[given.pop("who")]
    ended = time.monotonic() - given.pop("ago")
    return Run(
        tenant_id=who.tenant_id, user_id=who.user_id, job_id=new_id(), attempt=1, ended=ended, documents=1, **given
    )
