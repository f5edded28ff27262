"""Whatever happens to jobs, in whatever order: the rows are as the model says, and a losing attempt changes nothing.

MODEL_EXAMPLES=2000 looks longer, and elsewhere each time.
"""

import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from arqueduct.ids import new_id
from arqueduct.lifecycle import FINAL, Action, JobState, Outcome, allowed
from arqueduct.queue import WakeUp
from arqueduct.repositories import admission, documents, jobs, steering, sweeps
from arqueduct.repositories.jobs import Step
from arqueduct.settings import Settings
from tests.integration.completing import complete
from tests.integration.crowd import Flow
from tests.integration.job_model import MAX_CRASHES, JobModel
from tests.integration.job_world import World, a_world

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
PROFILE = hypothesis_settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=60,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

MOST_ALIVE = 3
HOUR = timedelta(hours=1)
ERROR = {"code": "internal_error", "message": "x", "stage": "extracting", "retryable": True, "advice": None}

picks = st.integers(0, 11)
ages = st.sampled_from([0, 0, 0, 1, 1, 2, -1])
"""How many attempts ago: mostly the newest, some older, one that is yet to come."""


class Write(StrEnum):
    """What an attempt may do to its job."""

    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry later"
    SNOOZE = "snooze"
    HAND_BACK = "hand back"
    PAUSE = "pause"
    CANCEL = "cancel"


WRITES: dict[Write, tuple[Callable[..., Coroutine[Any, Any, Any]], Callable[[JobModel, int], bool]]] = {
    Write.COMPLETE: (complete, JobModel.complete),
    Write.FAIL: (partial(jobs.fail, error=ERROR, traceback="where"), JobModel.fail),
    Write.RETRY: (
        partial(jobs.retry_later, error=ERROR, delay=timedelta(0)),
        partial(JobModel.back_to_queue, outcome=Outcome.RETRIED),
    ),
    Write.SNOOZE: (
        partial(jobs.release, outcome=Outcome.SNOOZED),
        partial(JobModel.back_to_queue, outcome=Outcome.SNOOZED),
    ),
    Write.HAND_BACK: (
        partial(jobs.release, outcome=Outcome.HANDED_BACK),
        partial(JobModel.back_to_queue, outcome=Outcome.HANDED_BACK),
    ),
    Write.PAUSE: (jobs.pause_running, JobModel.pause_running),
    Write.CANCEL: (jobs.cancel_running, JobModel.cancel_running),
}


class Jobs(RuleBasedStateMachine):
    """Each rule does to the rows what it does to the model, and compares what came back."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[JobModel] = []

    def job(self, pick: int) -> JobModel:
        """Any, but more often one of those that may still change."""
        alive = [job for job in self.jobs if not job.is_dead()]
        candidates = [*self.jobs, *alive, *alive]
        return candidates[pick % len(candidates)]

    def running(self, pick: int) -> JobModel:
        """One that runs; where none does, one is brought to it, whatever it takes."""
        runs = [job for job in self.jobs if job.state == JobState.RUNNING]
        if runs:
            return runs[pick % len(runs)]
        alive = [job for job in self.jobs if not job.is_dead()]
        job = alive[pick % len(alive)]
        for action in (Action.RESUME, Action.RETRY):
            if job.state in allowed(action):
                self.ask(job.tenant_id, action, [job])
        self.take([(job, job.dispatch)])
        return job

    def has_alive(self) -> bool:
        return any(not job.is_dead() for job in self.jobs)

    @initialize()
    def nothing_is_left_of_the_last_run(self) -> None:
        self.world.run(self.world.crowd.owner.execute("DELETE FROM jobs; DELETE FROM documents; DELETE FROM deletions"))

    @precondition(lambda self: sum(not job.is_dead() for job in self.jobs) < MOST_ALIVE)
    @rule(tenant=st.integers(0, 1), has_document=st.booleans())
    def create(self, tenant: int, has_document: bool) -> None:
        flow = self.world.flows[tenant]
        (job_id,) = self.world.run(self.world.crowd.queue(flow))
        document_id = self.world.run(self._document(flow, job_id)) if has_document else None
        self.jobs.append(JobModel(id=job_id, tenant_id=flow.tenant_id, document_id=document_id))

    async def _document(self, flow: Flow, job_id: UUID) -> UUID:
        blob_id, document_id = new_id(), new_id()
        await self.world.crowd.owner.execute(
            "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $2, $3, 1)",
            blob_id,
            flow.tenant_id,
            str(blob_id),
        )
        await self.world.crowd.owner.execute(
            "INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, "
            "language) VALUES ($1, $2, $3, $4, $5, 'x', 'text/plain', 1, '', 'english')",
            document_id,
            *flow,
            blob_id,
            job_id,
        )
        await self.world.crowd.owner.execute("UPDATE jobs SET document_id = $2 WHERE id = $1", job_id, document_id)
        return document_id

    @rule()
    def admit(self) -> None:
        found = self.world.run(self.world.crowd.admit())
        expected = {job.id: job.dispatch for job in self.jobs if job.admit()}
        assert {wake_up.job_id: wake_up.dispatch for wake_up in found} == expected

    @precondition(lambda self: self.jobs)
    @rule(wishes=st.lists(st.tuples(picks, st.sampled_from([0, 0, 1, -1])), min_size=1, max_size=4))
    def begin(self, wishes: list[tuple[int, int]]) -> None:
        """Right, stale and doubled wake-ups in one statement."""
        self.take([(job, job.dispatch - age) for pick, age in wishes for job in [self.job(pick)]])

    def take(self, wake_ups: list[tuple[JobModel, int]]) -> None:
        ids = [(job.id, number) for job, number in wake_ups]
        found = self.world.run(self.world.as_worker(jobs.claim, ids, "worker-1", HOUR))
        claimed = [job for job, number in wake_ups if job.claim(number)]
        assert sorted((one.id, one.fence, one.seq) for one in found) == sorted(
            (job.id, job.fence, job.seq) for job in claimed
        )

    @precondition(has_alive)
    @rule(pick=picks, write=st.sampled_from(Write))
    def work(self, pick: int, write: Write) -> None:
        """Whoever owns the job writes."""
        job = self.running(pick)
        self.write(job, job.fence, write)

    @precondition(has_alive)
    @rule(
        pick=picks,
        actions=st.lists(st.sampled_from([Action.CANCEL, Action.PAUSE]), min_size=1, max_size=2),
        write=st.sampled_from(Write),
    )
    def work_on_what_is_to_stop(self, pick: int, actions: list[Action], write: Write) -> None:
        job = self.running(pick)
        for action in actions:
            self.ask(job.tenant_id, action, [job])
        self.write(job, job.fence, write)

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, write=st.sampled_from(Write))
    def zombies(self, pick: int, write: Write) -> None:
        """Every attempt before the newest writes, and one that is yet to come."""
        job = self.job(pick)
        for fence in [*range(job.fence), job.fence + 1]:
            self.write(job, fence, write)

    @precondition(lambda self: any(job.state != JobState.RUNNING for job in self.jobs))
    @rule(pick=picks, write=st.sampled_from(Write))
    def the_newest_attempt_writes_after_its_end(self, pick: int, write: Write) -> None:
        stopped = [job for job in self.jobs if job.state != JobState.RUNNING]
        job = stopped[pick % len(stopped)]
        self.write(job, job.fence, write)

    def write(self, job: JobModel, fence: int, write: Write) -> None:
        does, expects = WRITES[write]
        row = self.world.run(self.world.as_worker(does, job.id, fence))
        self.compare(job, row, expects(job, fence))

    @precondition(lambda self: self.jobs)
    @rule(
        writes=st.lists(st.tuples(picks, ages), min_size=1, max_size=3),
        eighths=st.integers(0, 7),
        is_new=st.booleans(),
    )
    def advance(self, writes: list[tuple[int, int]], eighths: int, is_new: bool) -> None:
        """Many attempts, old and new, in one statement."""
        wanted = {job.id: (job, job.fence - age) for pick, age in writes for job in [self.job(pick)]}
        steps = [
            Step(
                job_id=job.id,
                fence=fence,
                stage="extracting",
                progress=eighths / 8,
                message=None,
                details={},
                eta_seconds=None,
                is_new_stage=is_new,
            )
            for job, fence in wanted.values()
        ]
        told = self.world.run(self.world.as_worker(jobs.advance, steps))
        for (job, fence), message in zip(wanted.values(), told, strict=True):
            is_owned = job.advance(fence, eighths / 8, is_new_stage=is_new)
            assert (message.seq if message else None) == (job.seq if is_owned else None)

    @precondition(lambda self: self.jobs)
    @rule(beats=st.lists(st.tuples(picks, ages), min_size=1, max_size=4))
    def heartbeat(self, beats: list[tuple[int, int]]) -> None:
        mine = {job.id: (job, job.fence - age) for pick, age in beats for job in [self.job(pick)]}
        found = self.world.run(
            self.world.as_worker(jobs.heartbeat, [(job.id, fence) for job, fence in mine.values()], HOUR)
        )
        owned = [job for job, fence in mine.values() if job.owned_by(fence)]
        for job in owned:
            job.is_lapsed = False
        assert {job_id: (row["cancel_requested"], row["pause_requested"]) for job_id, row in found.items()} == {
            job.id: (job.cancel_requested, job.pause_requested) for job in owned
        }

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, chance=st.integers(0, 3))
    def sensible_wish(self, pick: int, chance: int) -> None:
        """Something that the state of the job allows."""
        job = self.job(pick)
        if possible := [action for action in Action if job.state in allowed(action)]:
            self.ask(job.tenant_id, possible[chance % len(possible)], [job])

    @precondition(lambda self: self.jobs)
    @rule(chosen=st.sets(picks, min_size=1, max_size=3), action=st.sampled_from(Action), tenant=st.integers(0, 1))
    def wish(self, chosen: set[int], action: Action, tenant: int) -> None:
        """A user of one tenant asks for anything, of jobs of both."""
        wanted = {self.job(pick).id: self.job(pick) for pick in chosen}
        self.ask(self.world.flows[tenant].tenant_id, action, list(wanted.values()))

    def ask(self, tenant_id: UUID, action: Action, wanted: list[JobModel]) -> None:
        ids = [job.id for job in wanted]
        changed = self.world.run(self.world.as_user(tenant_id, steering.apply, action, ids))
        became = {job.id: job.apply(action) for job in wanted if job.tenant_id == tenant_id}
        assert {row["id"] for row in changed.rows} == {job_id for job_id, end in became.items() if end == "done"}
        assert set(changed.asked) == {job_id for job_id, end in became.items() if end == "asked"}
        for row in changed.rows:
            (job,) = (job for job in wanted if job.id == row["id"])
            self.compare(job, row, True)

    @precondition(has_alive)
    @rule(pick=picks)
    def a_lease_lapses(self, pick: int) -> None:
        job = self.running(pick)
        job.is_lapsed = True
        self.world.run(
            self.world.crowd.owner.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1", job.id)
        )

    @precondition(has_alive)
    @rule(pick=picks, times=st.integers(1, MAX_CRASHES))
    def it_kills_its_workers(self, pick: int, times: int) -> None:
        for _ in range(times):
            self.a_lease_lapses(pick)
            self.sweep()

    @rule()
    def sweep(self) -> None:
        rows = self.world.run(self.world.as_worker(sweeps.lapsed, max_crashes=MAX_CRASHES))
        swept = {job.id: job for job in self.jobs if job.sweep()}
        assert {row["id"] for row in rows} == swept.keys()
        for row in rows:
            self.compare(swept[row["id"]], row, True)

    @rule(is_all=st.booleans(), age=st.sampled_from([0, 0, 1]))
    def redis_loses_wake_ups(self, is_all: bool, age: int) -> None:
        older = timedelta(seconds=-1)
        found = self.world.run(self.world.as_worker(sweeps.unfollowed, older=older))
        waiting = {job.id: job for job in self.jobs if job.state == JobState.QUEUED and job.is_sent}
        assert {wake_up.job_id: wake_up.dispatch for wake_up in found} == {
            job.id: job.dispatch for job in waiting.values()
        }
        lost = [wake_up._replace(dispatch=wake_up.dispatch - age) for wake_up in (found if is_all else found[:1])]
        self.world.run(self.world.as_worker(admission.unadmit, lost))
        for wake_up in lost:
            waiting[wake_up.job_id].unadmit(wake_up.dispatch)

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, age=st.sampled_from([0, 0, 1, -1]))
    def a_sweep_calls_a_job_unfollowed_too_late(self, pick: int, age: int) -> None:
        job = self.job(pick)
        late = WakeUp(job.id, job.dispatch - age, datetime.now(UTC))
        self.world.run(self.world.as_worker(admission.unadmit, [late]))
        job.unadmit(late.dispatch)

    @precondition(lambda self: any(job.document_id and not job.is_deleted for job in self.jobs))
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        deletable = [job for job in self.jobs if job.document_id and not job.is_deleted]
        job = deletable[pick % len(deletable)]
        rows = self.world.run(self._delete(job))
        self.compare(job, rows[0] if rows else None, job.delete())

    async def _delete(self, job: JobModel) -> list[asyncpg.Record]:
        assert job.document_id is not None
        async with self.world.app.transaction(job.tenant_id) as transaction:
            assert await documents.mark_deleted(transaction, job.document_id)
            return await steering.cancel_of_document(transaction.driver, job.document_id)

    def compare(self, job: JobModel, row: asyncpg.Record | None, is_changed: bool) -> None:
        """What a statement returned, with what the model became."""
        assert (row is not None) == is_changed
        if row is not None:
            assert (row["id"], row["state"], row["seq"], row["fence"]) == (job.id, job.state, job.seq, job.fence)

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        rows, attempts, history = self.world.run(self._read())
        assert len(rows) == len(self.jobs)
        for job in self.jobs:
            row = rows[job.id]
            assert _seen(row) == _expected(job)
            assert {attempt: outcome for job_id, attempt, outcome in attempts if job_id == job.id} == job.attempts
            assert [tuple(event)[1:] for event in history if event["job_id"] == job.id] == job.events
            self._check_rules(job, row)

    def _check_rules(self, job: JobModel, row: asyncpg.Record) -> None:
        """What holds whatever the model says."""
        seqs = [seq for seq, *_ in job.events]
        assert seqs == sorted(set(seqs))
        assert seqs[-1] <= row["seq"]
        assert job.events[-1][2] == row["state"] or row["state"] == "running"
        assert [fence for fence, outcome in job.attempts.items() if outcome is None] == (
            [row["fence"]] if row["state"] == "running" else []
        )
        assert row["turn"] is None or row["state"] in ("queued", "cancelled")
        assert list(job.attempts.values()).count(Outcome.COMPLETED) == (row["state"] == "completed")
        assert not (row["state"] in ("queued", "paused") and (row["cancel_requested"] or row["pause_requested"]))

    async def _read(self) -> tuple[dict[UUID, asyncpg.Record], list[asyncpg.Record], list[asyncpg.Record]]:
        fetch = self.world.crowd.owner.fetch
        rows = await fetch("SELECT *, lease_until < now() AS is_lapsed FROM jobs")
        attempts = await fetch("SELECT job_id, attempt, outcome FROM job_attempts")
        history = await fetch("SELECT job_id, seq, type, state, attempt FROM job_events ORDER BY job_id, seq")
        return {row["id"]: row for row in rows}, attempts, history


def _seen(row: asyncpg.Record) -> dict[str, Any]:
    names = ("state", "seq", "fence", "failures", "crashes", "dispatch", "progress")
    seen = {name: row[name] for name in names} | {"is_lapsed": bool(row["is_lapsed"])}
    if row["state"] == JobState.QUEUED:
        seen["is_sent"] = row["dispatched_at"] is not None
    if row["state"] not in FINAL:
        seen["asked"] = (row["cancel_requested"], row["pause_requested"])
    return seen


def _expected(job: JobModel) -> dict[str, Any]:
    names = ("state", "seq", "fence", "failures", "crashes", "dispatch", "progress", "is_lapsed")
    expected = {name: getattr(job, name) for name in names}
    if job.state == JobState.QUEUED:
        expected["is_sent"] = job.is_sent
    if job.state not in FINAL:
        expected["asked"] = (job.cancel_requested, job.pause_requested)
    return expected


@pytest.fixture
def machine(settings: Settings) -> Iterator[type[Jobs]]:
    with a_world(settings) as world:
        yield type("OpenJobs", (Jobs,), {"world": world})


def test_jobs_do_what_the_model_says(machine: type[Jobs]) -> None:
    run_state_machine_as_test(machine, settings=PROFILE)
