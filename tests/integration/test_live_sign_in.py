"""Who may open a live connection, by which of the ways, and what the others are told."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from arqueduct.identity import NewIdentity, key_hash
from arqueduct.settings import Settings
from arqueduct_backend.live.limits import Limits
from tests.integration.live_server import LiveServer, closed, hear, serving, snapshot


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    """With limits as in production."""
    async with serving(settings) as running:
        yield running


async def test_a_ticket_opens_one_socket_and_no_second(server: LiveServer, me: NewIdentity) -> None:
    async with server.http() as http:
        answer = await http.post("/ws/tickets", headers={"Authorization": f"Bearer {me.api_key}"})
        unknown = await http.post("/ws/tickets")
    assert (answer.status_code, answer.json()["expires_in"], unknown.status_code) == (201, 30, 401)
    assert answer.headers["cache-control"] == "no-store"
    url = server.url(f"/ws?ticket={answer.json()['ticket']}")
    async with connect(url) as client:
        assert (await hear(client))["user_id"] == str(me.user_id)
    async with connect(url) as client:
        assert await closed(client) == 4401


async def test_a_page_can_send_its_key_as_a_subprotocol(server: LiveServer, me: NewIdentity) -> None:
    offered = [Subprotocol("arqueduct.v1"), Subprotocol(f"bearer.{me.api_key}")]
    async with connect(server.url(), subprotocols=offered) as client:
        assert client.subprotocol == "arqueduct.v1"
        assert await snapshot(client) == []


@pytest.mark.parametrize("with_ticket", [False, True])
async def test_a_client_can_say_who_it_is_by_its_first_message(
    server: LiveServer, me: NewIdentity, with_ticket: bool
) -> None:
    token = me.api_key
    if with_ticket:
        async with server.http() as http:
            token = (await http.post("/ws/tickets", headers={"X-API-Key": me.api_key})).json()["ticket"]
    async with connect(server.url(f"/ws/{me.user_id}")) as client:
        await client.send(json.dumps({"type": "auth", "token": token}))
        assert await snapshot(client) == []


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": "Bearer aq_wrong"}},
        {"subprotocols": ["arqueduct.v1", "bearer.aq_wrong"]},
    ],
)
async def test_a_wrong_key_is_closed_with_4401(server: LiveServer, options: dict[str, Any]) -> None:
    async with connect(server.url(), **options) as client:
        assert await closed(client) == 4401


@pytest.mark.parametrize("first", ['{"type": "auth", "token": "aq_wrong"}', '{"type": "ping"}', "{", b"\x00"])
async def test_a_first_message_that_is_no_sign_in_is_closed_with_4401(server: LiveServer, first: str) -> None:
    async with connect(server.url()) as client:
        await client.send(first)
        assert await closed(client) == 4401


async def test_who_never_says_who_it_is_is_closed_with_4401(settings: Settings) -> None:
    async with serving(settings, Limits(sign_in=0.05)) as server, connect(server.url()) as client:
        assert await closed(client) == 4401


@pytest.mark.parametrize("path", ["/ws/019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11", "/ws/me"])
async def test_another_users_id_is_closed_with_4403(server: LiveServer, me: NewIdentity, path: str) -> None:
    async with server.socket(me, path) as client:
        assert await closed(client) == 4403


async def test_too_many_connections_are_refused_over_both_transports(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings.model_copy(update={"max_sockets_per_user": 1})) as server:
        async with server.socket(me) as first, server.http() as http:
            await snapshot(first)
            async with server.socket(me) as second:
                assert await closed(second) == 4429
            refused = await http.get("/events", headers={"X-API-Key": me.api_key})
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_connections")
        async with server.socket(me) as third:
            assert await snapshot(third) == []


async def test_a_strangers_page_is_refused_before_the_handshake_ends(settings: Settings, me: NewIdentity) -> None:
    allowed = settings.model_copy(update={"allowed_origins": frozenset({"https://app.example.org"})})
    async with serving(allowed) as server:
        with pytest.raises(InvalidStatus) as refused:
            await server.socket(me, origin="https://evil.example")
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body or b"")["code"] == "forbidden"
        for origin in ("https://app.example.org", f"http://127.0.0.1:{server.port}"):
            async with server.socket(me, origin=origin) as client:
                assert await snapshot(client) == []


async def test_who_revokes_a_key_closes_its_socket_at_once(server: LiveServer, me: NewIdentity) -> None:
    """Without waiting for the look that is taken every minute."""
    async with server.http() as http, server.socket(me) as client:
        await snapshot(client)
        headers = {"X-API-Key": me.api_key}
        (key,) = (await http.get("/keys", headers=headers)).json()["items"]
        assert (await http.delete(f"/keys/{key['id']}", headers=headers)).status_code == 204
        assert await closed(client) == 4401


async def test_a_revoked_key_closes_its_socket(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings, Limits(recheck=0.05)) as server, server.socket(me) as client:
        await snapshot(client)
        assert settings.database_url is not None
        owner = await asyncpg.connect(settings.database_url.get_secret_value())
        await owner.execute("UPDATE api_keys SET revoked_at = now() WHERE key_hash = $1", key_hash(me.api_key))
        await owner.close()
        assert await closed(client) == 4401
