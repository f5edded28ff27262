"""Webhooks from worker processes that come and go: what was to be told is told, under one id."""

import asyncio
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, serving
from tests.integration.launcher import Launcher, Program, launching, loading
from tests.integration.receiver import Answer, Receiver, receiving
from tests.integration.trial import Trial, trying
from tests.integration.worker import until


@pytest.fixture(scope="module")
async def program() -> AsyncIterator[Program]:
    async with loading() as loaded:
        yield loaded


@pytest.fixture
async def launcher(program: Program) -> AsyncIterator[Launcher]:
    async with launching(program) as started:
        yield started


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def trial(settings: Settings, me: NewIdentity) -> AsyncIterator[Trial]:
    # As a variable of the processes has it.
    async with trying(settings, me, lease=30.0, redispatch=0.2, webhook_private_hosts="127.0.0.1") as prepared:
        yield prepared


async def ends(trial: Trial, count: int) -> list[asyncpg.Record]:
    """The deliveries, when all of them have ended."""
    found: list[asyncpg.Record] = []

    async def ended() -> bool:
        found[:] = await trial.owner.fetch("SELECT * FROM webhook_deliveries WHERE ended_at IS NOT NULL ORDER BY id")
        return len(found) == count

    await until(ended, 30)
    return found


async def hook(trial: Trial, receiver: Receiver, settings: Settings) -> str:
    """A new endpoint's secret."""
    allowing = settings.model_copy(update={"webhook_private_hosts": frozenset({"127.0.0.1"})})
    async with serving(allowing) as app, client_of(app, trial.me) as api:
        answer = await api.post("/api/v1/webhooks", json={"url": receiver.url()})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


async def test_from_an_upload_to_the_receiver(
    trial: Trial, launcher: Launcher, receiver: Receiver, settings: Settings
) -> None:
    secret = await hook(trial, receiver, settings)
    worker = await launcher.start(trial.settings)
    job = await trial.deliver()
    await receiver.heard(2)
    told = {got.verified(secret)["type"]: got for got in receiver.got}
    assert set(told) == {"document.created", "job.completed"}
    assert told["job.completed"].message["data"]["job_id"] == str(job)
    assert [row["state"] for row in await ends(trial, 2)] == ["delivered"] * 2
    assert len(receiver.got) == 2
    assert await worker.metric('arqueduct_webhook_deliveries_total{outcome="delivered"}') == 2
    assert await trial.broken_rules() == []


async def test_a_worker_dies_while_the_receiver_thinks(
    trial: Trial, launcher: Launcher, receiver: Receiver, settings: Settings
) -> None:
    """Nobody knows whether the message got through, so it comes again: under the same id."""
    secret = await hook(trial, receiver, settings)
    await trial.owner.execute("UPDATE webhook_endpoints SET events = '{document.created}'")
    receiver.answers.append(Answer(hold=asyncio.Event()))
    await trial.deliver()
    doomed = await launcher.start(trial.settings)
    await receiver.heard(1)
    await doomed.kill()
    await trial.lapse()
    await launcher.start(trial.settings)
    (delivery,) = await ends(trial, 1)
    assert delivery["state"] == "delivered"
    first, second = receiver.got
    assert first.id == second.id == str(delivery["event_id"])
    assert first.body == second.body
    second.verified(secret)


async def test_deliveries_survive_a_restart(
    trial: Trial, launcher: Launcher, receiver: Receiver, settings: Settings
) -> None:
    await hook(trial, receiver, settings)
    await trial.owner.execute("UPDATE webhook_endpoints SET events = '{document.created}'")
    receiver.answers.append(Answer(status=503))
    for _ in range(3):
        await trial.deliver()
    first = await launcher.start(trial.settings)
    await receiver.heard(3)
    first.send(signal.SIGTERM)
    assert await first.ended() == 0
    left = await trial.owner.fetchval("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'")
    assert left >= 1
    await trial.owner.execute("UPDATE jobs SET run_after = now() WHERE kind = 'webhook.deliver' AND turn IS NULL")
    await launcher.start(trial.settings)
    assert [row["state"] for row in await ends(trial, 3)] == ["delivered"] * 3
    assert len({got.id for got in receiver.got}) == 3
    assert await trial.broken_rules() == []
