"""Who opens a live connection. A browser can set no headers on one, so there are other ways too; none is a key in
the URL.
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from arqueduct.errors import NotAuthenticated, RequestError
from arqueduct.identity import Identity
from arqueduct.repositories import live
from arqueduct_backend import dependencies
from arqueduct_backend.live.tickets import Tickets, is_ticket
from arqueduct_backend.problems import problem_of
from arqueduct_backend.state import State

__all__ = ["BEARER", "PROTOCOL", "has_own_origin", "identify", "last_connection", "refuse", "sign_in", "text_of"]

PROTOCOL = "arqueduct.v1"
"""The WebSocket subprotocol that the server selects where a client offers it."""
BEARER = "bearer."
"""A second subprotocol carries the key behind this: `bearer.<API key>`."""
LONGEST_ID = 100


class _Auth(msgspec.Struct, tag_field="type", tag="auth"):
    token: str


def has_own_origin(connection: HTTPConnection, services: State) -> bool:
    """Whether no page of a stranger opened this. Programs send no Origin at all."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    origin = origin.lower()
    allowed = {known.lower().rstrip("/") for known in services.settings.allowed_origins}
    same = urlsplit(origin).netloc == connection.headers.get("host", "").lower()
    return origin in allowed or (same and origin != "null")


async def identify(connection: HTTPConnection, services: State) -> Identity | None:
    """By `?ticket=`, subprotocol or header; `None` if there is nothing of these. Raises `NotAuthenticated`."""
    if (ticket := connection.query_params.get("ticket")) is not None:
        return await _redeem(connection, services, ticket)
    for offered in connection.scope.get("subprotocols", ()):
        if offered.startswith(BEARER):
            return await dependencies.prove(connection, services, offered.removeprefix(BEARER))
    if dependencies.presented(connection):
        return await dependencies.identity(connection, services)
    return None


async def sign_in(websocket: WebSocket, services: State) -> Identity:
    """`identify`, or else the first message: `{"type": "auth", "token": "<API key, access token or ticket>"}`.

    Raises `NotAuthenticated`, and `WebSocketDisconnect` if the client leaves.
    """
    limits = services.bridge.limits
    if (known := await identify(websocket, services)) is not None:
        return known
    try:
        async with asyncio.timeout(limits.sign_in):
            first = text_of(await websocket.receive())
    except TimeoutError:
        raise NotAuthenticated("No sign-in came in time.") from None
    try:
        token = msgspec.json.decode(first[: limits.message_bytes], type=_Auth).token
    except msgspec.DecodeError:
        raise NotAuthenticated('The first message must be {"type": "auth", "token": …}.') from None
    if is_ticket(token):
        return await _redeem(websocket, services, token)
    return await dependencies.prove(websocket, services, token)


async def _redeem(connection: HTTPConnection, services: State, ticket: str) -> Identity:
    """A ticket is worth what it was got with is worth now; a made-up one is charged to the address."""
    try:
        identity = await Tickets(services.redis, services.keys).redeem(ticket)
        async with services.database.transaction(identity.tenant_id) as transaction:
            if not await live.valid_proofs(transaction.driver, [identity.proof]):
                raise NotAuthenticated("The key or the session that this ticket was got with has ended.")
    except NotAuthenticated:
        await services.budgets.stranger(connection)
        raise
    await services.budgets.user(connection, identity)
    return dependencies.known(connection, identity)


def last_connection(connection: HTTPConnection) -> str | None:
    """What a client that comes back says of the connection it had: `?resume=<connection_id of its hello>`, or the
    header that browsers send of themselves when they open an event stream again.
    """
    said = connection.query_params.get("resume") or connection.headers.get("last-event-id")
    return said[:LONGEST_ID] if said else None


def text_of(message: Any) -> str:
    """The text of an ASGI message, empty for a binary one. Raises `WebSocketDisconnect`."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message.get("text") or ""


async def refuse(websocket: WebSocket, error: RequestError) -> None:
    """Before the handshake ends: a stranger's page learns nothing but the status, and a flood costs little."""
    await websocket.receive()
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(problem_of(websocket, error))
    else:
        await websocket.close()
