"""What a profile does to a job, on a real worker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from arqueduct.database import Database
from arqueduct.formats import Format
from arqueduct.identity import NewIdentity
from arqueduct.pipeline import Stage, StageContext
from arqueduct.profiles import Profile, ProfileSettings, payload_of
from arqueduct.settings import Settings
from arqueduct.stage_options import Options
from arqueduct_worker.leases import Stop
from tests.integration.worker import TestWorker, row, submit, until, working

TEXT = " ".join(f"Sentence number {number} flows along." for number in range(60)).encode()
MENU = b"<title>Water</title><nav><a href=/>Home of menus</a></nav><p>It flows downhill.</p>"
QUICK = [{"label": "reading", "seconds": 0.1, "units": 4}, {"label": "thinking", "seconds": 0.1, "units": 2}]


@pytest.fixture
async def worker(settings: Settings, me: NewIdentity) -> AsyncIterator[TestWorker]:
    async with working(settings, me) as running:
        yield running


def payload(**settings: Any) -> dict[str, Any]:
    """As a project or a batch makes it."""
    return payload_of(Profile(id=None, name="mine", version=1, settings=ProfileSettings.model_validate(settings)))


async def ingested(
    worker: TestWorker, me: NewIdentity, content: bytes, format: Format, **settings: Any
) -> tuple[dict[str, Any], list[str]]:
    """The job as it ended, and the passages of its document."""
    job = await submit(worker, me, content, format=format, payload=payload(**settings))
    await worker.run(job.id)
    async with worker.services.database.transaction(me.tenant_id) as transaction:
        rows = await transaction.driver.fetch(
            "SELECT text FROM chunks WHERE document_id = $1 ORDER BY ordinal", job.document_id
        )
    return await row(worker.services.database, job.id), [found["text"] for found in rows]


async def simulated(worker: TestWorker, me: NewIdentity, **options: Any) -> Any:
    given = payload(pipeline="document.simulate", options={"simulate": options})
    return await submit(worker, me, b"never read", format=Format.TEXT, kind="document.simulate", payload=given)


async def test_a_profile_says_how_passages_are_cut(worker: TestWorker, me: NewIdentity) -> None:
    _, usual = await ingested(worker, me, TEXT, Format.TEXT)
    job, short = await ingested(worker, me, TEXT, Format.TEXT, options={"chunk": {"size": 200, "overlap": 0}})
    assert job["state"] == "completed"
    assert max(map(len, usual)) > 500
    assert max(map(len, short)) <= 200
    assert " ".join(short) == TEXT.decode(), "without an overlap nothing comes twice"


async def test_a_profile_says_whether_lines_are_headings(worker: TestWorker, me: NewIdentity) -> None:
    for headings, expected in ((None, None), (True, "One")):
        given = payload(options={"chunk": {"headings": headings}})
        job = await submit(worker, me, b"# One\n\n" + TEXT[:300], format=Format.TEXT, payload=given)
        await worker.run(job.id)
        async with worker.services.database.transaction(me.tenant_id) as transaction:
            found = await transaction.driver.fetch("SELECT heading FROM chunks WHERE document_id = $1", job.document_id)
        assert [chunk["heading"] for chunk in found] == [expected]


async def test_text_of_other_options_is_not_taken_for_this_one(worker: TestWorker, me: NewIdentity) -> None:
    _, without = await ingested(worker, me, MENU, Format.HTML)
    _, with_menus = await ingested(worker, me, MENU, Format.HTML, options={"extract": {"navigation": True}})
    _, again = await ingested(worker, me, MENU, Format.HTML)
    assert "Home of menus" not in str(without + again)
    assert "Home of menus" in str(with_menus)


async def test_a_profile_lowers_limits_also_for_text_that_is_kept(worker: TestWorker, me: NewIdentity) -> None:
    done, _ = await ingested(worker, me, TEXT, Format.TEXT)
    job, chunks = await ingested(worker, me, TEXT, Format.TEXT, options={"extract": {"max_chars": 100}})
    assert (done["state"], job["state"], job["error"]["code"]) == ("completed", "failed", "document_too_long")
    assert chunks == []


async def test_a_profile_puts_a_stage_into_a_pipeline(worker: TestWorker, me: NewIdentity) -> None:
    stages = ["download", "extract", "simulate", "chunk", "embed", "store"]
    job, chunks = await ingested(worker, me, TEXT, Format.TEXT, stages=stages, options={"simulate": {"steps": QUICK}})
    assert (job["state"], bool(chunks)) == ("completed", True)
    await until(lambda: _has(worker, "completed"))
    heard = list(dict.fromkeys(message.stage for message in worker.heard))
    cut = ["chunking", "embedding", "storing", "completed"]
    assert heard == ["downloading", "extracting", "simulating", "reading", "thinking", *cut]
    reached = [message.progress for message in worker.heard]
    assert reached == sorted(reached)


async def test_what_a_worker_cannot_do_fails_the_job_at_once(worker: TestWorker, me: NewIdentity) -> None:
    for settings, code in (
        ({"options": {"chunk": {"size": 1}}}, "options_invalid"),
        ({"options": {"paint": {"coats": 1}}}, "options_invalid"),
        ({"stages": ["extract", "store"]}, "stages_invalid"),
        ({"stages": ["download", "paint", "store"]}, "stages_invalid"),
    ):
        job, _ = await ingested(worker, me, TEXT, Format.TEXT, **settings)
        assert (job["state"], job["failures"], job["error"]["code"]) == ("failed", 1, code)
        assert job["error"]["advice"]


class AskOptions(Options):
    question: str = "Why?"


class Ask(Stage):
    name, label = "ask", "asking"
    options = AskOptions
    asked: ClassVar[list[Any]] = []

    async def run(self, context: StageContext) -> None:
        self.asked.append((context.options_of(self, AskOptions).question, context.llm))


async def test_a_plugin_stage_is_told_options_and_language_model(worker: TestWorker, me: NewIdentity) -> None:
    given = payload(options={"ask": {"question": "How?"}}, llm={"model": "small", "max_tokens": 9})
    given["stages"] = None
    job = await submit(worker, me, b"never read", format=Format.TEXT, payload=given)
    await worker.with_stages(Ask()).run(job.id)
    ((question, llm),) = Ask.asked
    assert (question, llm.model, llm.max_tokens, llm.temperature) == ("How?", "small", 9, None)


async def test_a_simulated_job_tells_its_steps(worker: TestWorker, me: NewIdentity, app_database: Database) -> None:
    job = await simulated(worker, me, steps=QUICK)
    await worker.run(job.id)
    await until(lambda: _has(worker, "completed"))
    assert list(dict.fromkeys(message.stage for message in worker.heard)) == [
        "simulating",
        "reading",
        "thinking",
        "completed",
    ]
    thinking = [message for message in worker.heard if message.stage == "thinking"]
    assert thinking[0].progress == pytest.approx(0.5, abs=0.01), "half of its time is behind it"
    assert worker.embedder.calls == 0
    async with app_database.transaction(me.tenant_id) as transaction:
        told = await transaction.driver.fetch(
            "SELECT stage FROM job_events WHERE job_id = $1 AND state = 'running' ORDER BY seq", job.id
        )
    assert [found["stage"] for found in told] == ["simulating", "reading", "thinking"]


async def test_a_scripted_failure_is_tried_again_and_then_it_works(worker: TestWorker, me: NewIdentity) -> None:
    failure = {"code": "provider_down", "permanent": False, "attempt": 1, "step": 2, "message": "Out for lunch."}
    job = await simulated(worker, me, steps=QUICK, failures=[failure])
    await worker.run(job.id)
    waiting = await row(worker.services.database, job.id)
    assert (waiting["state"], waiting["failures"]) == ("queued", 1)
    assert (
        waiting["error"] | {"code": "provider_down", "stage": "thinking", "message": "Out for lunch."}
        == (waiting["error"])
    )
    await worker.run(job.id, waiting["dispatch"])
    done = await row(worker.services.database, job.id)
    assert (done["state"], done["fence"]) == ("completed", 2)


async def test_a_permanent_failure_has_the_code_it_was_given(worker: TestWorker, me: NewIdentity) -> None:
    for code, advice in (("document_encrypted", "password"), ("made_up", "Nothing is wrong")):
        job = await simulated(worker, me, steps=QUICK, failures=[{"code": code}])
        await worker.run(job.id)
        failed = await row(worker.services.database, job.id)
        assert (failed["state"], failed["error"]["code"]) == ("failed", code)
        assert advice in failed["error"]["advice"]


@pytest.mark.parametrize(
    ("stop", "column", "state"), [(Stop.CANCEL, "cancel", "cancelled"), (Stop.PAUSE, "pause", "paused")]
)
async def test_a_simulated_job_stops_when_it_is_asked_to(
    worker: TestWorker, me: NewIdentity, stop: Stop, column: str, state: str
) -> None:
    job = await simulated(worker, me, steps=[{"label": "dreaming", "seconds": 3600, "units": 1}])
    running = asyncio.create_task(worker.run(job.id))
    await until(lambda: _has(worker, "dreaming"))
    async with worker.services.database.transaction() as transaction:
        await transaction.driver.execute(f"UPDATE jobs SET {column}_requested = true WHERE id = $1", job.id)
    worker.services.leases.end(job.id, stop)
    async with asyncio.timeout(10):
        await running
    assert (await row(worker.services.database, job.id))["state"] == state


async def test_a_simulated_job_hears_that_its_time_is_up(
    worker: TestWorker, me: NewIdentity, settings: Settings
) -> None:
    hurried = worker.with_settings(settings.model_copy(update={"soft_limit": 0.5}))
    job = await simulated(worker, me, steps=[{"label": "dreaming", "seconds": 100, "units": 1000}])
    async with asyncio.timeout(10):
        await hurried.run(job.id)
    snoozed = await row(worker.services.database, job.id)
    assert (snoozed["state"], snoozed["failures"]) == ("queued", 0)


async def _has(worker: TestWorker, stage: str) -> bool:
    return any(message.stage == stage for message in worker.heard)
