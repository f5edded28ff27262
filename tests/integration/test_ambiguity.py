"""Requests that say two things at once, over the wire: nobody in front of the API sees another caller than it does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.live_server import PATIENCE, LiveServer, NewIdentities, serving, snapshot

HOST = "Host: api"
BASIC = "Authorization: Basic b2Y6YSBwcm94eQ=="


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[LiveServer]:
    async with serving(settings) as running:
        yield running


async def asked(server: LiveServer, *lines: str, path: str = "/documents") -> tuple[int, bytes]:
    """Status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        head = [f"GET /api/v1{path} HTTP/1.1", *lines, "Connection: close", "", ""]
        writer.write("\r\n".join(head).encode())
        async with asyncio.timeout(PATIENCE):
            said, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(said.split()[1]), body


async def test_two_credentials_or_two_hosts_are_refused(
    server: LiveServer, me: NewIdentity, new_identity: NewIdentities, subtests: pytest.Subtests
) -> None:
    """Even where each is valid, and where both are the same."""
    other = await new_identity()
    bearer, key = f"Authorization: Bearer {me.api_key}", f"X-API-Key: {me.api_key}"
    ambiguous = {
        "bearer twice": [HOST, bearer, bearer],
        "two bearers": [HOST, bearer, f"authorization: bearer {other.api_key}"],
        "two schemes": [HOST, BASIC, bearer],
        "key twice": [HOST, key, key],
        "two keys": [HOST, f"x-api-key: {other.api_key}", key],
        "a key and none": [HOST, key, "X-API-Key:"],
        "another bearer than key": [HOST, f"Authorization: Bearer {other.api_key}", key],
        "another key than bearer": [HOST, bearer, "X-API-Key: aq_wrong"],
        "host twice": [HOST, HOST, key],
        "two hosts": [HOST, "host: elsewhere", key],
    }
    for name, lines in ambiguous.items():
        with subtests.test(name):
            status, body = await asked(server, *lines)
            assert (status, json.loads(body)["code"]) == (400, "ambiguous_headers")
            assert b"aq_" not in body


async def test_one_credential_may_come_both_ways_and_beside_a_proxys(
    server: LiveServer, me: NewIdentity, subtests: pytest.Subtests
) -> None:
    bearer, key = f"Authorization: Bearer {me.api_key}", f"X-API-Key: {me.api_key}"
    for lines in ([bearer], [key], [bearer, key], [BASIC, key]):
        with subtests.test(lines=len(lines)):
            assert (await asked(server, HOST, *lines))[0] == 200


async def test_routes_that_need_no_credential_refuse_two_hosts_too(server: LiveServer) -> None:
    assert (await asked(server, HOST, "Host: elsewhere", path="/auth/oidc"))[0] == 400


async def test_a_handshake_with_two_credentials_is_refused(
    server: LiveServer, me: NewIdentity, new_identity: NewIdentities, subtests: pytest.Subtests
) -> None:
    other = await new_identity()
    bearer, key = ("Authorization", f"Bearer {me.api_key}"), ("X-API-Key", other.api_key)
    offered = [Subprotocol("arqueduct.v1"), Subprotocol(f"bearer.{other.api_key}")]
    ways: dict[str, dict[str, Any]] = {
        "headers": {"additional_headers": [bearer, key]},
        "a header twice": {"additional_headers": [key, key]},
        "header and subprotocol": {"additional_headers": [bearer], "subprotocols": offered},
    }
    for name, options in ways.items():
        with subtests.test(name):
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.url(), **options)
            assert refused.value.response.status_code == 400
            assert json.loads(refused.value.response.body or b"")["code"] == "ambiguous_headers"
    async with connect(server.url(), additional_headers=[key], subprotocols=offered) as client:
        assert await snapshot(client) == []
