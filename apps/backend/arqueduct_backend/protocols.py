"""The server's connections, with bounds where uvicorn has none: on what is collected before the application is asked.

uvicorn's parser collects a header however long it gets, and waits for the end of a head for ever; of sockets it
collects fragments without counting the empty ones, and answers pings whether or not anybody reads the pongs.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from arqueduct.errors import HeadersTooLarge
from arqueduct_backend.problems import MEDIA_TYPE

__all__ = ["LARGEST_FRAME", "MOST_HEADERS", "MOST_HEAD_BYTES", "OPTIONS", "Write", "framed", "writer_of"]

MOST_HEAD_BYTES = 32 * 1024
"""Of request line and headers: a token, a cookie or two, and room."""
MOST_HEADERS = 100
LONGEST_LINE = 8000
"""Of a WebSocket handshake; the library behind it breaks the connection at 8,192."""
HEAD_SECONDS = 10
"""For a whole head, from its first byte or the opening of the connection."""
LINGER_SECONDS = 10
"""For the rest of a body that was answered already: cut off at once, its sender might not see the answer."""
LARGEST_FRAME = 64 * 2**10
"""Bytes of one inbound message; what clients have to say fits in 4 KB."""
MOST_FRAGMENTS = 64
"""Of one inbound message. Programs send one."""
POLICY = 1008
FRAMES = "arqueduct.frames"
"""An extension of ASGI in the scope of a socket: `{"write": Write}`."""

Write: TypeAlias = Callable[[bytes], bool]
"""Sends whole frames now, or not at all. False: what came before was not taken yet, or the socket is over."""


class Connection(HttpToolsProtocol):
    """One HTTP connection."""

    _unused = 0
    """Bytes that came since the parser last made something of them."""
    _in_message = False
    """Between the end of a head and the end of its body."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self._close_after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._in_message and self._deadline is None:
            self._close_after(HEAD_SECONDS)
        self._unused += len(data)
        super().data_received(data)
        if self._unused > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        self._in_message = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_message:  # trailers would be added to the headers, after everybody looked at them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._go_on()
        self._unused = 0
        self._in_message = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._go_on()
        self._unused = 0
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message:
            self._close_after(LINGER_SECONDS)

    def handle_websocket_upgrade(self) -> None:
        longest = max([len(self.url), *(len(name) + len(value) for name, value in self.headers)])
        if longest > LONGEST_LINE or len(self.headers) > MOST_HEADERS:
            self._refuse()
        else:
            super().handle_websocket_upgrade()

    def _close_after(self, seconds: float) -> None:
        self._go_on()
        self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _go_on(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self._is_answering() and not self._in_message:
            self._close_after(HEAD_SECONDS)  # the next request was begun; the one before is still being answered
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        if not self._is_answering():
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket connection. Its application may frame a text once and write it to many of these."""

    _offered: dict[object, object] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # the handshake was one, and the application is yet to be called
            self._offered = self.scope["extensions"][FRAMES] = {"write": self.write}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._offered is not None:
            self._offered.clear()  # it leads back here: only a full collection would free what hangs on this socket

    def write(self, frames: bytes) -> bool:
        """A `Write`. As with uvicorn's own messages, nothing is added to more than 64 KiB that wait for the client."""
        if not self.writable.is_set() or self.conn.state is not State.OPEN or self.transport.is_closing():
            return False
        self.transport.write(frames)
        return True

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MOST_FRAGMENTS:
            self.conn.fail(POLICY, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # a pong that nobody would read: only its memory would be used


def framed(text: bytes) -> bytes:
    """A text message as it is on the wire, the same to all clients: servers mask nothing, and ours compress nothing."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def writer_of(scope: Scope) -> Write | None:
    """Where the server has one; any other is sent messages as ASGI says."""
    offered: Mapping[str, Any] = scope.get("extensions", {}).get(FRAMES, {})
    return offered.get("write")


OPTIONS: dict[str, Any] = {
    "http": Connection,
    "ws": Socket,
    "ws_max_size": LARGEST_FRAME,
    "ws_per_message_deflate": False,  # triples the memory of a connection
    "proxy_headers": False,  # believes X-Forwarded-For of anything on this machine; see client_address.py
    "server_header": False,
}
"""Of uvicorn, for everything that serves the application."""


def _too_large() -> bytes:
    """The whole answer, where there is no request yet that an application could answer."""
    error = HeadersTooLarge(f"The head of a request may have {MOST_HEAD_BYTES:,} bytes.")
    body = msgspec.json.encode(
        {
            "type": f"urn:arqueduct:problem:{error.code}",
            "title": " ".join((error.__doc__ or "").split()).rstrip("."),
            "status": error.status,
            "detail": error.message,
            "instance": "",
            "code": error.code,
            "request_id": None,
            "advice": error.advice,
            "errors": [],
        }
    )
    head = (
        f"HTTP/1.1 {error.status} Request Header Fields Too Large\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_LARGE = _too_large()
