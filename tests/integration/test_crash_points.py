"""A process dies between any two steps, and a healthy worker brings the job to its one end.

How long that takes is the chaos suite's matter; here the leases of the dead are cut short.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from arqueduct.embedded.process import free_port
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.lifecycle import Outcome
from arqueduct.repositories import admission, jobs
from arqueduct.settings import Settings
from tests.integration.crashing import EMPTY
from tests.integration.launcher import Launched, Launcher, Program, launching, loading
from tests.integration.many_jobs import insert_many
from tests.integration.trial import BATCH, TEXT, Trial, trying
from tests.integration.worker import until

DIED, RETRIED, BACK = Outcome.WORKER_DIED, Outcome.RETRIED, Outcome.HANDED_BACK
COMPLETED, FAILED, CANCELLED = Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@pytest.fixture
async def trial(settings: Settings, me: NewIdentity) -> AsyncIterator[Trial]:
    # The lease of one that is alive must not lapse on a busy machine.
    async with trying(settings, me, lease=30.0, redispatch=0.2, max_crashes=2) as prepared:
        yield prepared


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a death at a point leaves behind, and what it costs."""

    point: str
    leaves: str = "running"
    """State of the job when the process is dead."""
    before: tuple[Outcome, ...] = (DIED,)
    """Of the attempts until the worker that finishes."""
    end: Outcome = COMPLETED
    extractions: int = 1
    """At most: two where the death may come before the text was kept."""
    again: int = 0
    """Texts that are asked for twice, at most: those that were bought and not kept, or refused."""
    content: bytes = TEXT
    format: Format = Format.TEXT
    prepare: Callable[[Trial, UUID], Awaitable[None]] | None = None
    """What happens before the worker starts."""
    provoke: Callable[[Trial, UUID, Launched], Awaitable[None]] | None = None
    """What happens while it runs."""
    delivery: str = "batch"

    def __str__(self) -> str:
        return self.point if self.delivery == "batch" else f"{self.point} ({self.delivery})"


async def refused(trial: Trial, _job: UUID) -> None:
    trial.provider.answer_next(429, retry_after="0.1")


async def slow(trial: Trial, _job: UUID) -> None:
    """So slow that heartbeats come while the job runs."""
    trial.provider.latency = 0.2


async def left_by_a_dead_worker(trial: Trial, job: UUID) -> None:
    assert await jobs.claim(trial.owner, [(job, 0)], "a dead worker", timedelta(seconds=-1))


async def lost_by_redis(trial: Trial, _job: UUID) -> None:
    assert (await admission.admit(trial.owner, alive=timedelta(seconds=30))).wake_ups


async def terminate(trial: Trial, job: UUID, worker: Launched) -> None:
    await trial.reaches(job, stage="embedding")
    worker.send(signal.SIGTERM)


async def cancel(trial: Trial, job: UUID, _worker: Launched) -> None:
    await trial.reaches(job, stage="embedding")
    await trial.owner.execute("UPDATE jobs SET cancel_requested = true WHERE id = $1", job)


STORIES = [
    Story(point="admitted, not sent", leaves="queued", before=()),
    Story(point="sent", leaves="queued", before=()),
    Story(point="wake-up taken", leaves="queued", before=()),
    Story(point="wake-up taken", leaves="queued", before=(), delivery="stock"),
    Story(point="claimed"),
    Story(point="claimed", delivery="stock"),
    Story(point="stage written, not told", extractions=2),
    Story(point="before download"),
    Story(point="after download"),
    Story(point="extracted, not kept", extractions=2),
    Story(point="text kept"),
    Story(point="after extract"),
    Story(point="after chunk"),
    Story(point="bought, not kept", again=BATCH),
    Story(point="first batch kept"),
    Story(point="after embed"),
    Story(point="chunks written"),
    Story(point="completion written"),
    Story(point="completed, not told", leaves="completed", before=()),
    Story(point="end recorded, not told", leaves="queued", before=(RETRIED,), again=BATCH, prepare=refused),
    Story(
        point="end recorded, not told",
        leaves="failed",
        before=(),
        end=FAILED,
        content=b"%PDF-1.7 this is not a PDF at all",
        format=Format.PDF,
    ),
    Story(
        point="end recorded, not told", leaves="queued", before=(BACK,), again=BATCH, prepare=slow, provoke=terminate
    ),
    Story(
        point="end recorded, not told",
        leaves="cancelled",
        before=(),
        end=CANCELLED,
        again=BATCH,
        prepare=slow,
        provoke=cancel,
    ),
    Story(point="before a heartbeat", extractions=2, again=BATCH, prepare=slow),
    Story(point="heartbeat written", extractions=2, again=BATCH, prepare=slow),
    Story(point="lapsed jobs taken", prepare=left_by_a_dead_worker),
    Story(point="lapsed jobs back, not dispatched", leaves="queued", prepare=left_by_a_dead_worker),
    Story(point="lost wake-up put back", leaves="queued", before=(), prepare=lost_by_redis),
]


def named(story: Story) -> str:
    parts = [story.point, story.delivery if story.delivery != "batch" else "", *story.before[:1], story.end]
    return "-".join(filter(None, parts)).replace(" ", "_").replace(",", "")


@pytest.mark.parametrize("story", STORIES, ids=named)
async def test_a_worker_dies_and_its_job_is_done_once(story: Story, trial: Trial, launcher: Launcher) -> None:
    job = await trial.deliver(story.content, format=story.format)
    if story.prepare:
        await story.prepare(trial, job)
    doomed = trial.settings.model_copy(
        update={"queue_worker": story.delivery, "shutdown_grace": 0.0, "heartbeat": 0.05}
    )
    worker = await launcher.start(doomed, point=story.point)
    if story.provoke:
        await story.provoke(trial, job, worker)
    assert await worker.ended() == -signal.SIGKILL
    assert (await trial.row(job))["state"] == story.leaves
    trial.provider.latency = 0
    await trial.lapse()
    await heal(trial, launcher, job, story)


async def heal(trial: Trial, launcher: Launcher, job: UUID, story: Story) -> None:
    """A healthy worker finishes, and everything is as if nothing had happened."""
    healthy = await launcher.start(trial.settings.model_copy(update={"queue_worker": story.delivery}))
    await healthy.ready()
    ended = await trial.reaches(job, state=story.end)
    assert await trial.outcomes(job) == [*story.before, story.end]
    assert ended["lease_until"] is None
    assert await trial.broken_rules() == []
    assert 1 <= await trial.extractions() <= story.extractions
    assert trial.sold_again <= story.again

    async def tidy() -> bool:
        return await trial.left_in(healthy.pid) == []

    await until(tidy)


ENDS = {"ends asked for together": "running", "ends written together, not told": "completed"}


@pytest.mark.parametrize("point", ENDS, ids=["before_the_commit", "after_the_commit"])
async def test_jobs_without_results_end_together_and_once(point: str, trial: Trial, launcher: Launcher) -> None:
    """Their ends are one statement, which commits by itself."""
    ids = [UUID(one) for one in await insert_many(trial.owner, trial.me, "queued", 5, kind=EMPTY)]
    await jobs.note_created(trial.owner, ids)
    worker = await launcher.start(trial.settings, point=point, program="empty")
    assert await worker.ended() == -signal.SIGKILL
    left = [(await trial.row(job))["state"] for job in ids]
    assert ENDS[point] in left
    await trial.lapse()
    await launcher.start(trial.settings, program="empty")
    for job, state in zip(ids, left, strict=True):
        await trial.reaches(job, state="completed")
        assert await trial.outcomes(job) == ([DIED, COMPLETED] if state == "running" else [COMPLETED])
    assert await trial.broken_rules() == []


API_POINTS = ["committed, not dispatched", "admitted, not sent", "sent"]


@pytest.mark.parametrize("point", API_POINTS, ids=[point.replace(" ", "_").replace(",", "") for point in API_POINTS])
async def test_an_api_dies_and_what_it_accepted_is_done_once(point: str, trial: Trial, launcher: Launcher) -> None:
    await upload_and_die(trial, launcher, point)
    job = await trial.owner.fetchval("SELECT id FROM jobs")
    await heal(trial, launcher, job, Story(point=point, before=()))


async def test_an_api_that_dies_before_its_commit_has_accepted_nothing(trial: Trial, launcher: Launcher) -> None:
    await upload_and_die(trial, launcher, "before the commit")
    assert await trial.owner.fetchval("SELECT count(*) FROM jobs") == 0
    assert await trial.owner.fetchval("SELECT count(*) FROM documents") == 0


async def upload_and_die(trial: Trial, launcher: Launcher, point: str) -> None:
    settings = trial.settings.model_copy(update={"port": free_port()})
    api = await launcher.start(settings, point=point, program="api")
    headers = {"Authorization": f"Bearer {trial.me.api_key}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{settings.port}", headers=headers, trust_env=False
    ) as client:

        async def answers() -> bool:
            with suppress(httpx.TransportError):
                return (await client.get("/livez")).is_success
            return False

        await until(answers, 30)
        with suppress(httpx.TransportError):  # of some deaths the client hears after its answer
            await client.post("/api/v1/documents", files={"file": ("water.txt", TEXT)})
    assert await api.ended() == -signal.SIGKILL
