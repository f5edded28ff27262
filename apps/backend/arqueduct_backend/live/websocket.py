"""The WebSocket transport: one task sends, one listens."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, aclosing, suppress
from uuid import UUID

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from arqueduct import metrics
from arqueduct.errors import (
    DependencyUnavailable,
    Forbidden,
    NotAuthenticated,
    RateLimited,
    TooManyConnections,
)
from arqueduct.permissions import Permission, check
from arqueduct_backend import audit_trail, dependencies
from arqueduct_backend.live import closing, handshake, updates
from arqueduct_backend.live.bridge import Bridge
from arqueduct_backend.live.client import Client
from arqueduct_backend.live.closing import Close
from arqueduct_backend.live.limits import Limits
from arqueduct_backend.live.pace import Pace
from arqueduct_backend.live.updates import Notice
from arqueduct_backend.protocols import writer_of
from arqueduct_backend.state import State

__all__ = ["serve"]

log = structlog.get_logger()


FOREIGN = "Pages of this origin may not open sockets here; see ARQUEDUCT_ALLOWED_ORIGINS."
TOO_FAST = updates.error("too_many_messages", "This message was not read: too many came at once.")


class _Said(msgspec.Struct):
    type: str


async def serve(websocket: WebSocket, user_id: str | None = None) -> None:
    """From the handshake to the close. A code can only be read by browsers after the socket was accepted."""
    services = dependencies.state(websocket)
    if not handshake.has_own_origin(websocket, services):
        log.warning("origin refused", origin=websocket.headers.get("origin", "")[:200])
        await audit_trail.refused(websocket, code=Forbidden.code)
        await handshake.refuse(websocket, Forbidden(FOREIGN))
        return
    with ExitStack() as waiting:
        try:
            waiting.enter_context(services.bridge.gate.waiting(websocket.client.host if websocket.client else ""))
        except TooManyConnections as error:
            await handshake.refuse(websocket, error)
            return
        await _admit(websocket, services, user_id, waiting.close)


async def _admit(websocket: WebSocket, services: State, user_id: str | None, admitted: Callable[[], None]) -> None:
    """Calls `admitted` when it is known who it is."""
    offered = handshake.PROTOCOL in websocket.scope.get("subprotocols", ())
    await websocket.accept(handshake.PROTOCOL if offered else None)
    try:
        identity = await handshake.sign_in(websocket, services)
        check(identity.permissions, Permission.JOBS_READ)
        if user_id is not None and not _is(user_id, identity.user_id):
            raise Forbidden  # the same end as below
        admitted()
        close = await _converse(websocket, services.bridge, Client(identity, "websocket", writer_of(websocket.scope)))
    except WebSocketDisconnect:
        return
    except (NotAuthenticated, Forbidden) as error:
        close = closing.NOT_SIGNED_IN if isinstance(error, NotAuthenticated) else closing.FORBIDDEN
        await audit_trail.refused(websocket, code=error.code)
    except TooManyConnections as error:
        close = closing.TOO_MANY._replace(reason=error.message)
    except RateLimited:
        close = closing.RATE_LIMITED
    except DependencyUnavailable as error:
        log.warning("socket not opened", error=error.message)
        close = closing.TRY_LATER
    await _close(websocket, close, services.bridge.limits.close)


async def _converse(websocket: WebSocket, bridge: Bridge, client: Client) -> Close:
    """Sends and listens until the client leaves or is to be ended; returns why. Raises `TooManyConnections`."""
    with bridge.attached(client, handshake.last_connection(websocket)) as messages:
        listening = asyncio.create_task(_listen(websocket, client, bridge.limits))
        try:
            async with client.limit, aclosing(messages):
                async for message in messages:
                    client.sending()
                    try:
                        await websocket.send_text(message.text)
                    finally:
                        client.sent()
        except TimeoutError:
            pass  # `client.close` says why
        except (WebSocketDisconnect, RuntimeError):  # Starlette raises the latter once a close was seen
            client.end(closing.GONE)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    return client.close or closing.GONE


async def _listen(websocket: WebSocket, client: Client, limits: Limits) -> None:
    bad: deque[float] = deque(maxlen=limits.bad_messages)
    pace = Pace(limits.messages_per_second, limits.messages_at_once)
    try:
        while True:
            text = handshake.text_of(await websocket.receive())
            now = time.monotonic()
            notice = _answer(text, limits) if pace.takes(now) else TOO_FAST
            metrics.socket_received.labels("ping" if notice.type == "pong" else "bad").inc()
            client.answer(notice)
            if notice.type == "error":
                if len(bad) == bad.maxlen and now - bad[0] < 60:
                    client.end(closing.MISUSED)
                bad.append(now)
    except (WebSocketDisconnect, RuntimeError):
        client.end(closing.GONE)


def _answer(text: str, limits: Limits) -> Notice:
    if text == "ping":
        return Notice("pong", "", "pong")
    if len(text.encode()) > limits.message_bytes:
        return updates.error("message_too_large", f"A message may have {limits.message_bytes} bytes.")
    try:
        said = msgspec.json.decode(text, type=_Said)
    except msgspec.DecodeError:
        return updates.error("message_not_understood", 'A message is JSON text with a "type", or the word ping.')
    if said.type == "ping":
        return updates.pong()
    return updates.error("message_type_unknown", "A signed-in client says ping, and nothing else.")


def _is(text: str, user_id: UUID) -> bool:
    try:
        return UUID(text) == user_id
    except ValueError:
        return False


async def _close(websocket: WebSocket, close: Close, within: float) -> None:
    """One that reads nothing does not hear it; then the connection is just dropped."""
    with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(within):
            await websocket.close(close.code, close.reason)
