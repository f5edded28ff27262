"""Live updates over real sockets: nothing is missed, nothing goes backwards, nothing is anyone else's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from arqueduct import events, metrics
from arqueduct.embedded import EmbeddedValkey, remove
from arqueduct.events import JobMessage
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import JobState
from arqueduct.settings import Settings
from arqueduct_backend.live.limits import Limits
from tests.integration.live_server import (
    PATIENCE,
    Driver,
    LiveServer,
    NewIdentities,
    closed,
    driving,
    hear,
    hear_until,
    serving,
    snapshot,
    until,
)

STAGES = ("downloading", "extracting", "chunking", "embedding", "storing")


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    """With limits as in production: nothing below waits for them."""
    async with serving(settings) as running:
        yield running


@pytest.fixture
async def driver(server: LiveServer, me: NewIdentity) -> AsyncIterator[Driver]:
    async with driving(server, me) as hands:
        yield hands


async def test_a_client_is_greeted_gets_a_snapshot_and_then_what_happens(
    server: LiveServer, driver: Driver, me: NewIdentity
) -> None:
    waiting = await driver.create(document_name="before.pdf")
    async with server.socket(me) as client:
        hello = await hear(client)
        assert (hello["type"], hello["v"], hello["user_id"]) == ("hello", 1, str(me.user_id))
        assert hello["heartbeat_seconds"] < 60
        first = await hear(client)
        assert (first["type"], first["truncated"]) == ("snapshot", False)
        assert [(job["job_id"], job["document_name"], job["state"]) for job in first["jobs"]] == [
            (str(waiting), "before.pdf", "queued")
        ]
        fence = await driver.claim(waiting)
        for number, stage in enumerate(STAGES):
            await driver.advance(waiting, fence, stage, number / 5, is_new=True)
        await driver.complete(waiting, fence)
        heard = await hear_until(client, lambda message: message["type"] == "job_completed")
        assert [message["stage"] for message in heard] == [*STAGES, "completed"]
        assert heard[-1]["progress"] == 1
        assert [message["seq"] for message in heard] == sorted({message["seq"] for message in heard})


async def test_a_job_that_just_finished_is_in_the_snapshot(server: LiveServer, driver: Driver, me: NewIdentity) -> None:
    job_id = await driver.create()
    await driver.complete(job_id, await driver.claim(job_id))
    async with server.socket(me) as client:
        assert [job["state"] for job in await snapshot(client)] == ["completed"]


async def test_ping_is_answered_as_it_was_asked(server: LiveServer, me: NewIdentity) -> None:
    async with server.socket(me) as client:
        await snapshot(client)
        await client.send("ping")
        assert await client.recv() == "pong"
        await client.send('{"type": "ping"}')
        assert (await hear(client))["type"] == "pong"


async def test_what_cannot_be_understood_is_answered_by_an_error_and_closes_nothing(
    server: LiveServer, me: NewIdentity
) -> None:
    said: list[tuple[str | bytes, str]] = [
        ("{", "message_not_understood"),
        (b"\x00", "message_not_understood"),
        ("[]", "message_not_understood"),
        ('{"type": "subscribe"}', "message_type_unknown"),
        ("x" * 5000, "message_too_large"),
    ]
    async with server.socket(me) as client:
        await snapshot(client)
        for text, code in said:
            await client.send(text)
            answer = await hear(client)
            assert (answer["type"], answer["code"]) == ("error", code)
        await client.send("ping")
        assert await client.recv() == "pong"


async def test_a_client_that_talks_nonsense_without_end_is_closed(server: LiveServer, me: NewIdentity) -> None:
    async with server.socket(me) as client:
        for _ in range(30):
            await client.send("nonsense")
        assert await closed(client) == 1008


async def test_a_client_that_reconnects_misses_nothing_and_sees_nothing_go_backwards(
    server: LiveServer, driver: Driver, me: NewIdentity
) -> None:
    ids = [await driver.create() for _ in range(4)]
    working = asyncio.gather(*(_work(driver, job_id) for job_id in ids))
    seqs: dict[str, int] = {}
    ended: set[str] = set()
    connections = 0
    while len(ended) < len(ids):
        connections += 1
        async with server.socket(me) as client:
            await hear(client)
            for _ in range(6):
                message = await hear(client)
                for state in message.get("jobs", [message]):
                    assert state["seq"] >= seqs.get(state["job_id"], 0)
                    assert message["type"] == "snapshot" or state["seq"] > seqs[state["job_id"]]
                    seqs[state["job_id"]] = state["seq"]
                    if state["state"] == "completed":
                        ended.add(state["job_id"])
                if len(ended) == len(ids):
                    break
    await working
    assert connections > 1
    assert ended == set(map(str, ids))


async def test_states_arrive_though_redis_dies_and_comes_back(
    settings: Settings, me: NewIdentity, tmp_path: Path
) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey", settings={"appendonly": "no"})
    await asyncio.to_thread(valkey.start)
    own = settings.model_copy(update={"redis_url": SecretStr(valkey.url())})
    try:
        async with serving(own, Limits(anti_entropy=3600)) as server, driving(server, me) as driver:
            job_id = await driver.create()
            async with server.socket(me) as client:
                await snapshot(client)
                before = _resyncs("redis")
                await asyncio.to_thread(valkey.stop)
                await driver.complete(job_id, await driver.claim(job_id))
                await asyncio.to_thread(valkey.start)
                assert (await hear(client))["type"] == "job_completed"
                assert _resyncs("redis") > before
                later = await driver.create()
                assert (await hear(client))["job_id"] == str(later)
    finally:
        await asyncio.to_thread(valkey.stop)
        remove(valkey.folder)


async def test_without_any_redis_clients_are_served_from_the_rows(settings: Settings, me: NewIdentity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        nowhere = f"redis://127.0.0.1:{held.getsockname()[1]}/0"
    own = settings.model_copy(update={"redis_url": SecretStr(nowhere)})
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(own, Limits(anti_entropy=0.1)))
        driver = await stack.enter_async_context(driving(server, me))
        client = await stack.enter_async_context(server.socket(me))
        http = await stack.enter_async_context(server.http())
        assert await snapshot(client) == []
        job_id = await driver.create()
        assert (await hear(client))["type"] == "job_queued"
        await driver.complete(job_id, await driver.claim(job_id))
        assert (await hear(client))["type"] == "job_completed"
        refused = await http.post("/ws/tickets", headers={"X-API-Key": me.api_key})
        assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")


async def test_another_tenants_messages_never_arrive(
    server: LiveServer, driver: Driver, me: NewIdentity, new_identity: NewIdentities
) -> None:
    stranger = await new_identity()
    async with server.socket(stranger) as theirs, server.socket(me) as mine:
        await snapshot(theirs)
        await snapshot(mine)
        job_id = await driver.create()
        assert (await hear(mine))["job_id"] == str(job_id)
        await driver.say(_message(stranger.tenant_id))  # a user of two tenants has one channel
        await driver.complete(job_id, await driver.claim(job_id))
        assert (await hear(mine))["id"] == f"{job_id}:3"
        await theirs.send("ping")
        assert await theirs.recv() == "pong"


async def test_a_slow_client_is_ended_and_slows_nobody(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings, Limits(send=0.2)) as server, driving(server, me) as driver:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", server.port))
        async with server.socket(me, sock=narrow, max_queue=1) as slow, server.socket(me) as quick:
            await snapshot(quick)
            told = 2000
            large = {"text": "x" * 10_000}
            hearing = asyncio.create_task(_count(quick, told))
            for _ in range(told // 50):
                batch = [(me.user_id, events.encode(_message(me.tenant_id, large))) for _ in range(50)]
                await driver.services.bus.publish(batch)
            async with asyncio.timeout(PATIENCE):
                assert await hearing == told
            gauge = metrics.sockets.labels("websocket")
            await until(lambda: gauge._value.get() == 1)
            assert await closed(slow) == 4408
            await quick.send("ping")
            assert await quick.recv() == "pong"


async def test_server_sent_events_tell_the_same_as_the_socket(
    server: LiveServer, driver: Driver, me: NewIdentity
) -> None:
    job_id = await driver.create()
    async with server.http() as http, server.socket(me) as client:
        ticket = (await http.post("/ws/tickets", headers={"X-API-Key": me.api_key})).json()["ticket"]
        async with http.stream("GET", "/events", params={"ticket": ticket}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["x-accel-buffering"] == "no"
            told = _events(stream)
            assert (await anext(told))["event"] == "hello"
            assert [job["job_id"] for job in (await anext(told))["data"]["jobs"]] == [str(job_id)]
            await snapshot(client)
            await driver.complete(job_id, await driver.claim(job_id))
            event, message = await anext(told), await hear(client)
            assert event["data"] == message
            assert (event["event"], event["id"]) == (message["type"], message["id"])
        refused = await http.get("/events", params={"ticket": ticket})
        unsigned = await http.get("/events")
    for answer in (refused, unsigned):
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_a_stopping_server_tells_sockets_and_ends_streams(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings) as server, server.socket(me) as client, server.http() as http:
        await snapshot(client)
        async with http.stream("GET", "/events", headers={"X-API-Key": me.api_key}) as stream:
            told = _events(stream)
            await anext(told)
            server.server.should_exit = True
            assert await closed(client) == 1012
            async with asyncio.timeout(PATIENCE):
                assert [event["event"] async for event in told] == ["snapshot"]


async def _work(driver: Driver, job_id: UUID) -> None:
    fence = await driver.claim(job_id)
    for number, stage in enumerate(STAGES):
        await driver.advance(job_id, fence, stage, number / 5, is_new=True)
        for step in range(1, 10):
            await driver.advance(job_id, fence, stage, (number + step / 10) / 5)
    await driver.complete(job_id, fence)


async def _count(client: Any, most: int) -> int:
    for _ in range(most):
        await client.recv()
    return most


async def _events(stream: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    async for line in stream.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields | {"data": msgspec.json.decode(fields["data"])}
            fields = {}


def _resyncs(reason: str) -> float:
    return float(metrics.resyncs.labels(reason)._value.get())


def _message(tenant_id: UUID, details: dict[str, Any] | None = None) -> JobMessage:
    """An end of a job that no table knows."""
    job_id = new_id()
    return JobMessage(
        id=f"{job_id}:1",
        type="job_completed",
        tenant_id=tenant_id,
        job_id=job_id,
        kind="document.ingest",
        document_id=None,
        document_name=None,
        state=JobState.COMPLETED,
        stage="completed",
        progress=1,
        message=None,
        details=details or {},
        eta_seconds=None,
        error=None,
        attempt=1,
        seq=1,
        timestamp=events.timestamp(),
    )
