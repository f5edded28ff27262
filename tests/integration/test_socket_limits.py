"""Live connections: how many, how talkative, for how long; and what is counted of them."""

import asyncio
import json
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import asyncpg
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from arqueduct import metrics
from arqueduct.identity import Identity, NewIdentity, key_hash
from arqueduct.settings import Settings
from arqueduct_backend.live.limits import Limits
from arqueduct_backend.live.pace import Pace
from arqueduct_backend.live.rechecking import ask_to_recheck
from arqueduct_backend.live.tickets import Tickets
from arqueduct_backend.protocols import LARGEST_FRAME
from tests.integration.live_server import (
    PATIENCE,
    LiveServer,
    NewIdentities,
    closed,
    hear,
    hear_until,
    serving,
    snapshot,
    until,
)


def limited(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update=changes)


def key_of(me: NewIdentity) -> dict[str, str]:
    return {"X-API-Key": me.api_key}


async def ticket_of(server: LiveServer, me: NewIdentity, expires_at: float | None) -> str:
    """For somebody whose proof ends at some time."""
    async with server.services.database.transaction() as transaction:
        key_id = await transaction.driver.fetchval("SELECT key_id FROM authenticate($1)", key_hash(me.api_key))
    identity = Identity(tenant_id=me.tenant_id, user_id=me.user_id, role="owner", key_id=key_id, expires_at=expires_at)
    return await Tickets(server.services.redis, server.services.keys).issue(identity)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_sockets_per_tenant": 2}, "ARQUEDUCT_MAX_SOCKETS_PER_TENANT"),
        ({"max_sockets": 2}, "ARQUEDUCT_MAX_SOCKETS"),
    ],
    ids=["tenant", "all"],
)
async def test_connections_of_a_tenant_and_in_all_are_bounded(
    settings: Settings, me: NewIdentity, new_identity: NewIdentities, changes: dict[str, int], named: str
) -> None:
    other = await new_identity()
    async with serving(limited(settings, **changes)) as server, server.http() as http:
        async with server.socket(me) as first, server.socket(me) as second:
            await snapshot(first)
            await snapshot(second)
            async with server.socket(me) as third:
                assert await closed(third) == 4429
                assert named in (third.close_reason or "")
            refused = await http.get("/events", headers=key_of(me))
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_connections")
            assert int(refused.headers["retry-after"]) >= 1
            async with server.socket(other) as foreign:
                if "max_sockets" in changes:
                    assert await closed(foreign) == 4429
                else:
                    assert await snapshot(foreign) == []
        async with server.socket(me) as again:
            assert await snapshot(again) == []


async def test_sockets_that_nobody_signed_in_to_are_bounded_before_their_handshake_ends(
    settings: Settings, me: NewIdentity
) -> None:
    full = metrics.sockets_refused.labels("waiting")._value.get()
    limits = Limits(waiting_of_address=3, sign_in=PATIENCE)
    async with serving(settings, limits) as server, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connect(server.url())) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url())
        response = refused.value.response
        assert (response.status_code, json.loads(response.body or b"")["code"]) == (429, "too_many_connections")
        assert "retry-after" in response.headers
        assert metrics.sockets_refused.labels("waiting")._value.get() == full + 1
        await silent[0].send(json.dumps({"type": "auth", "token": me.api_key}))
        assert await snapshot(silent[0]) == []
        async with connect(server.url()) as late:  # the one who signed in waits no more
            await late.send(json.dumps({"type": "auth", "token": me.api_key}))
            assert await snapshot(late) == []


async def test_a_flood_of_handshakes_leaves_nothing_behind(settings: Settings) -> None:
    limits = Limits(waiting=10, sign_in=0.2)
    async with serving(settings, limits) as server:

        async def knock() -> int:
            try:
                async with connect(server.url(), open_timeout=PATIENCE) as client:
                    return await closed(client) or 0
            except InvalidStatus as error:
                return error.response.status_code

        found = await asyncio.gather(*(knock() for _ in range(60)))
        assert set(found) == {4401, 429}
        assert server.services.bridge.gate._waiting.total() == 0


async def test_a_client_that_talks_too_much_hears_so_and_is_closed_if_it_goes_on(
    settings: Settings, me: NewIdentity
) -> None:
    limits = Limits(messages_per_second=0.001, messages_at_once=5, bad_messages=10)
    good, bad = (metrics.socket_received.labels(outcome) for outcome in ("ping", "bad"))
    were = good._value.get(), bad._value.get()
    async with serving(settings, limits) as server, server.socket(me) as client:
        await snapshot(client)
        for _ in range(6):
            await client.send('{"type": "ping"}')
        heard = await hear_until(client, lambda message: message["type"] == "error")
        assert [message["type"] for message in heard] == ["pong"] * 5 + ["error"]
        assert heard[-1]["code"] == "too_many_messages"
        with suppress(ConnectionClosed):
            for _ in range(12):
                await client.send('{"type": "ping"}')
        assert await closed(client) == 1008
    assert good._value.get() == were[0] + 5
    assert bad._value.get() >= were[1] + 11


def test_a_pace_is_an_average_with_room_for_a_burst() -> None:
    pace = Pace(10, 20)
    assert [pace.takes(100.0) for _ in range(22)] == [True] * 20 + [False] * 2
    assert [pace.takes(100.5) for _ in range(6)] == [True] * 5 + [False]
    assert sum(pace.takes(101 + number / 100) for number in range(1000)) <= 106
    assert [pace.takes(1e6) for _ in range(21)].count(True) == 20


async def test_a_frame_that_is_too_large_is_refused_by_its_head(server: LiveServer, me: NewIdentity) -> None:
    """Only the head is sent: who waited for the rest would wait for ever."""
    async with server.socket(me) as client:
        await snapshot(client)
        announced = 2**40
        client.transport.write(b"\x81\xff" + announced.to_bytes(8, "big") + b"mask")
        assert await closed(client) == 1009


async def test_a_message_of_many_fragments_is_bounded_in_bytes_and_in_number(
    server: LiveServer, me: NewIdentity
) -> None:
    async with server.socket(me) as client:
        await snapshot(client)
        with suppress(ConnectionClosed):
            await client.send(["x" * 1000] * (LARGEST_FRAME // 1000 + 2))
        assert await closed(client) == 1009
    async with server.socket(me) as client:
        await snapshot(client)
        frames = b"\x01\x80mask" + b"\x00\x80mask" * 1000  # all empty, none the last
        client.transport.write(frames)
        assert await closed(client) == 1008


async def test_pings_of_one_who_does_not_read_collect_no_pongs(server: LiveServer, me: NewIdentity) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**10)
    try:
        writer.write(
            f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"X-API-Key: {me.api_key}\r\n\r\n".encode()
        )
        assert b"101 " in await reader.readline()
        (socket,) = [item for item in server.server.server_state.connections if hasattr(item, "handle_ping")]
        ping = b"\x89\xfdmask" + b"x" * 125
        for _ in range(400):
            writer.write(ping * 500)  # 26 MB in all, of which the server would owe as much
            await asyncio.wait_for(writer.drain(), PATIENCE)
        assert socket.transport.get_write_buffer_size() < 2**20
    finally:
        writer.close()


@pytest.fixture
async def server(settings: Settings) -> Any:
    async with serving(settings) as running:
        yield running


async def test_a_socket_ends_when_its_session_or_token_does(server: LiveServer, me: NewIdentity) -> None:
    soon = await ticket_of(server, me, time.time() + 0.5)
    async with connect(server.url(f"/ws?ticket={soon}")) as client:
        assert await snapshot(client) == []
        began = time.monotonic()
        assert await closed(client) == 4401
        assert time.monotonic() - began < 5  # not only at the next look, after 60
    later = await ticket_of(server, me, time.time() + 3600)
    async with connect(server.url(f"/ws?ticket={later}")) as client:
        assert await snapshot(client) == []


async def test_an_event_stream_ends_with_its_session_too(server: LiveServer, me: NewIdentity) -> None:
    ticket = await ticket_of(server, me, time.time() + 0.5)
    async with server.http() as http, asyncio.timeout(PATIENCE):
        answer = await http.get(f"/events?ticket={ticket}")  # comes back only because the stream ends
    assert "event: snapshot" in answer.text


async def test_a_revoked_key_closes_its_sockets_at_once_where_that_is_told(
    settings: Settings, me: NewIdentity, new_identity: NewIdentities
) -> None:
    other = await new_identity()
    async with (
        serving(settings, Limits(recheck=3600)) as server,
        server.socket(me) as mine,
        server.socket(other) as foreign,
    ):
        await snapshot(mine)
        await snapshot(foreign)
        assert await ask_to_recheck(server.services.bus, me.user_id)
        await mine.send("ping")
        assert await mine.recv() == "pong"  # nothing was wrong
        assert settings.database_url is not None
        owner = await asyncpg.connect(settings.database_url.get_secret_value())
        await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1", me.user_id)
        await owner.close()
        assert await ask_to_recheck(server.services.bus, me.user_id)
        assert await closed(mine) == 4401
        await foreign.send("ping")
        assert await foreign.recv() == "pong"


async def hello_of(client: ClientConnection) -> dict[str, Any]:
    hello = await hear(client)
    assert hello["type"] == "hello"
    return hello


async def test_a_client_that_comes_back_is_counted_and_frees_the_place_it_had(
    settings: Settings, me: NewIdentity
) -> None:
    back = metrics.socket_reconnects.labels("websocket")
    before = back._value.get()
    async with serving(limited(settings, max_sockets_per_user=1)) as server, server.socket(me) as dead:
        name = (await hello_of(dead))["connection_id"]
        async with server.socket(me, "/ws?resume=someone-else") as stranger:
            assert await closed(stranger) == 4429
        async with server.socket(me, f"/ws?resume={name}") as client:
            assert (await hello_of(client))["connection_id"] != name
            assert await closed(dead) == 1000
    assert back._value.get() == before + 2


async def test_nobody_ends_a_connection_of_somebody_else(
    server: LiveServer, me: NewIdentity, new_identity: NewIdentities
) -> None:
    other = await new_identity()
    async with server.socket(me) as mine:
        name = (await hello_of(mine))["connection_id"]
        async with server.socket(other, f"/ws?resume={name}") as foreign:
            await snapshot(foreign)
            await mine.send("ping")
            assert (await hear(mine))["type"] == "snapshot"
            assert await mine.recv() == "pong"


async def test_an_event_stream_that_comes_back_is_counted(server: LiveServer, me: NewIdentity) -> None:
    back = metrics.socket_reconnects.labels("sse")
    before = back._value.get()
    for headers, path in (({"Last-Event-ID": "019aa7c2"}, "/events"), ({}, "/events?resume=019aa7c2"), ({}, "/events")):
        async with server.http() as http, http.stream("GET", path, headers=key_of(me) | headers) as answer:
            assert answer.status_code == 200
            assert "event: hello" in await anext(answer.aiter_text())
    assert back._value.get() == before + 2


async def test_a_budget_that_is_spent_opens_no_sockets(settings: Settings, me: NewIdentity) -> None:
    async with (
        serving(limited(settings, requests_per_minute=2)) as server,
        server.http() as http,
        server.socket(me) as first,
    ):
        await snapshot(first)
        assert (await http.get("/jobs", headers=key_of(me))).headers["ratelimit-remaining"] == "0"
        async with server.socket(me) as second:
            assert await closed(second) == 4429
        refused = await http.get("/events", headers=key_of(me))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        await first.send("ping")
        assert await first.recv() == "pong"


async def test_connections_and_their_time_are_measured(server: LiveServer, me: NewIdentity) -> None:
    gauge = metrics.sockets.labels("websocket")
    before, ended = gauge._value.get(), metrics.socket_seconds._sum.get()
    async with server.socket(me) as client:
        await snapshot(client)
        assert gauge._value.get() == before + 1
    await until(lambda: gauge._value.get() == before)
    assert metrics.socket_seconds._sum.get() > ended


async def test_the_gate_is_empty_when_everybody_has_left(server: LiveServer, me: NewIdentity) -> None:
    gate = server.services.bridge.gate
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(server.socket(me)) for _ in range(10)]
        await asyncio.gather(*map(snapshot, clients))
        assert gate._tenants[me.tenant_id] == 10
    await until(lambda: gate._tenants.total() == 0)
