"""A live connection lives no longer than what it was opened with, whenever that ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from arq.connections import ArqRedis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from arqueduct import identity
from arqueduct.identity import Identity, NewIdentity
from arqueduct.repositories import keys
from arqueduct.settings import Settings
from arqueduct_backend.live.client import Client
from arqueduct_backend.live.closing import NOT_SIGNED_IN
from arqueduct_backend.live.limits import Limits
from tests.integration.live_server import LiveServer, closed, hear, serving, snapshot
from tests.integration.many_jobs import Owner, insert_many, owning
from tests.integration.people import join, with_key

NEVER = Limits(recheck=3600, anti_entropy=3600)
"""Nothing is noticed by the looks that are taken now and then."""
REVOKE = "UPDATE api_keys SET revoked_at = now() WHERE id = $1"


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Owner]:
    """Changes things without a word to anybody."""
    async with owning(settings) as connection:
        yield connection


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings, NEVER) as running:
        yield running


async def proved(server: LiveServer, who: NewIdentity) -> Identity:
    async with server.services.database.transaction() as transaction:
        return await identity.authenticate(transaction, who.api_key)


async def ticket_of(http: httpx.AsyncClient, who: NewIdentity) -> str:
    answer = await http.post("/ws/tickets", headers={"X-API-Key": who.api_key})
    return str(answer.json()["ticket"])


async def refused(server: LiveServer, ticket: str) -> tuple[int | None, list[Any]]:
    """How a socket ended, and what it said before."""
    heard: list[Any] = []
    async with connect(server.url(f"/ws?ticket={ticket}")) as client:
        with suppress(ConnectionClosed):
            while True:
                heard.append(await hear(client))
    return client.close_code, heard


@pytest.mark.parametrize("how", ["key revoked", "member removed"])
async def test_a_ticket_is_worth_nothing_after_what_it_was_got_with(
    server: LiveServer, me: NewIdentity, owner: Owner, how: str
) -> None:
    editor = await join(owner, me.tenant_id, "editor")
    mine = {"X-API-Key": me.api_key}
    async with server.http() as http:
        tickets = [await ticket_of(http, editor) for _ in range(2)]
        if how == "key revoked":
            key_id = (await proved(server, editor)).key_id
            answer = await http.delete(f"/keys/{key_id}", headers=mine)
        else:
            answer = await http.delete(f"/members/{editor.user_id}", headers=mine)
        assert answer.status_code == 204
        assert await refused(server, tickets[0]) == (4401, [])
        stream = await http.get("/events", params={"ticket": tickets[1]})
    assert (stream.status_code, stream.json()["code"]) == (401, "not_authenticated")


async def test_who_comes_back_to_a_tenant_opens_nothing_with_an_old_key(
    server: LiveServer, me: NewIdentity, owner: Owner
) -> None:
    editor = await join(owner, me.tenant_id, "editor")
    known = await proved(server, editor)
    await owner.execute("UPDATE memberships SET created_at = clock_timestamp() WHERE user_id = $1", editor.user_id)
    assert await first_words(server, known) == ["hello"]


async def test_a_key_that_ends_after_it_was_proved_gets_no_snapshot(
    server: LiveServer, me: NewIdentity, owner: Owner
) -> None:
    """Nobody who is connected heard of it: it happened before there was anything to end."""
    await insert_many(owner, me, "queued")
    known = await proved(server, me)
    assert await first_words(server, known) == ["hello", "snapshot"]
    await owner.execute(REVOKE, known.key_id)
    assert await first_words(server, known) == ["hello"]


async def first_words(server: LiveServer, known: Identity) -> list[str]:
    """Of a client that was let in as this; with no snapshot it must have been told why."""
    client, heard = Client(known, "sse"), []
    with server.services.bridge.attached(client) as messages:
        async for message in messages:
            heard.append(message.type)
            if message.type == "snapshot":
                await messages.aclose()
    assert (client.close == NOT_SIGNED_IN) is ("snapshot" not in heard)
    return heard


async def test_of_two_that_read_together_only_the_one_with_a_good_key_is_shown_anything(
    server: LiveServer, me: NewIdentity, owner: Owner
) -> None:
    (job_id,) = await insert_many(owner, me, "queued")
    bad, good = await proved(server, me), await proved(server, await with_key(owner, me))
    await owner.execute(REVOKE, bad.key_id)
    bridge, clients = server.services.bridge, [Client(bad, "sse"), Client(good, "sse")]
    with bridge.attached(clients[0]) as of_bad, bridge.attached(clients[1]) as of_good:
        assert [(await anext(of_bad)).type, (await anext(of_good)).type] == ["hello", "hello"]
        shown, told = await asyncio.gather(anext(of_good), anext(of_bad, None))
    assert job_id in shown.text
    assert (told, clients[0].close, clients[1].close) == (None, NOT_SIGNED_IN, None)


async def test_a_socket_ends_when_its_key_does(server: LiveServer, me: NewIdentity, owner: Owner) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    _, secret = await keys.add(owner, me.tenant_id, me.user_id, "for a moment", expires_at=soon)
    async with connect(server.url(), additional_headers={"X-API-Key": secret}) as client:
        assert await snapshot(client) == []
        assert await closed(client) == 4401
    assert 0 <= time.time() - soon.timestamp() < 5  # by its own timer: no look is taken in this hour
    assert client.close_reason == "the key, the session or its token is over; sign in again"


async def test_a_key_without_an_end_opens_a_socket_without_one(server: LiveServer, me: NewIdentity) -> None:
    assert (await proved(server, me)).expires_at is None


async def test_what_was_said_of_a_key_while_redis_was_lost_is_found_out(
    server: LiveServer, me: NewIdentity, owner: Owner, redis: ArqRedis
) -> None:
    async with server.socket(me) as client:
        await snapshot(client)
        await owner.execute(REVOKE, (await proved(server, me)).key_id)
        await still_open(client)
        await redis.client_kill_filter(_type="pubsub")
        assert await closed(client) == 4401


async def still_open(client: ClientConnection) -> None:
    await client.send("ping")
    assert await client.recv() == "pong"


async def test_sockets_of_a_disabled_user_end_with_the_next_look(
    settings: Settings, me: NewIdentity, owner: Owner
) -> None:
    async with serving(settings, Limits(recheck=0.05)) as server:
        member = await join(owner, me.tenant_id, "viewer")
        async with connect(server.url(), additional_headers={"X-API-Key": member.api_key}) as client:
            await snapshot(client)
            await owner.execute("UPDATE users SET disabled_at = now() WHERE id = $1", member.user_id)
            assert await closed(client) == 4401


async def test_live_updates_need_the_permission_to_read_jobs(server: LiveServer, me: NewIdentity, owner: Owner) -> None:
    limited = await with_key(owner, me, scopes=["documents:read"])
    headers = {"X-API-Key": limited.api_key}
    async with connect(server.url(), additional_headers=headers) as client:
        assert await closed(client) == 4403
    async with server.http() as http:
        assert (await http.get("/events", headers=headers)).status_code == 403
        assert (await http.post("/ws/tickets", headers=headers)).status_code in (200, 201, 403)
