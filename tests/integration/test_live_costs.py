"""What messages and connections cost, in calls and in what stays behind."""

import asyncio
import gc
import socket
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from arqueduct import events
from arqueduct.events import JobMessage
from arqueduct.identity import NewIdentity
from arqueduct.ids import new_id
from arqueduct.lifecycle import JobState
from arqueduct.settings import Settings
from arqueduct_backend import protocols
from arqueduct_backend.live import updates
from arqueduct_backend.live.client import Client
from tests.integration.live_server import LiveServer, hear, serving, snapshot, until

SOCKETS = 12
MESSAGES = 7


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each step of a delivery was gone, from here on."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        step: Callable[..., Any] = getattr(owner, name)

        def counting(*args: Any, **options: Any) -> Any:
            counted[name] += 1
            return step(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    for owner, name in [
        *((updates, "parse"), (updates, "framed"), (events, "encode"), (protocols.Socket, "write")),
        *((protocols.Socket, "send"), (WebSocket, "send_text"), (Client, "offer"), (Client, "sending")),
    ]:
        count(owner, name)
    return counted


def message(me: NewIdentity, seq: int = 1, stage: str = "embedding", text: str = "", job_id: Any = None) -> bytes:
    """A step of a job that no table knows, a job of its own unless one is named."""
    job_id = job_id or new_id()
    return events.encode(
        JobMessage(
            id=f"{job_id}:{seq}",
            type="job_progress",
            tenant_id=me.tenant_id,
            job_id=job_id,
            kind="document.ingest",
            document_id=None,
            document_name=None,
            state=JobState.RUNNING,
            stage=stage,
            progress=0.5,
            message=text,
            details={},
            eta_seconds=None,
            error=None,
            attempt=1,
            seq=seq,
            timestamp=events.timestamp(),
        )
    )


async def opened(stack: AsyncExitStack, server: LiveServer, me: NewIdentity, count: int) -> list[Any]:
    clients = [await stack.enter_async_context(server.socket(me)) for _ in range(count)]
    for client in clients:
        await snapshot(client)
    return clients


async def test_a_publication_is_read_and_framed_once_and_written_to_each_socket_by_no_task(
    settings: Settings, me: NewIdentity, calls: Counter[str]
) -> None:
    async with serving(settings) as server, AsyncExitStack() as stack:
        clients = await opened(stack, server, me, SOCKETS)
        said = message(me)
        tasks = len(asyncio.all_tasks())
        calls.clear()
        await server.services.bus.publish([(me.user_id, said)])
        assert [await client.recv() for client in clients] == [said.decode()] * SOCKETS
        assert calls == {"parse": 1, "framed": 1, "write": SOCKETS}
        assert len(asyncio.all_tasks()) == tasks


async def test_what_is_heard_at_once_is_written_at_once(
    settings: Settings, me: NewIdentity, calls: Counter[str]
) -> None:
    async with serving(settings) as server, AsyncExitStack() as stack:
        clients = await opened(stack, server, me, SOCKETS)
        said = [message(me) for _ in range(MESSAGES)]
        channel = server.services.keys.live(me.user_id).encode()
        calls.clear()
        for one in said:
            server.services.bridge._on_message(channel, one)
        for client in clients:
            assert [(await client.recv()).encode() for _ in said] == said
        assert calls == {"parse": MESSAGES, "framed": MESSAGES, "write": SOCKETS}


async def test_one_who_does_not_read_for_a_while_hears_every_stage_in_order(
    settings: Settings, me: NewIdentity, calls: Counter[str]
) -> None:
    job_id, text, last = new_id(), "x" * 20_000, 0

    async def advance(server: LiveServer) -> int:
        said = message(me, seq=last + 1, stage=f"stage {last + 1}", text=text, job_id=job_id)
        assert await server.services.bus.publish([(me.user_id, said)])
        return last + 1

    async with serving(settings) as server:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", server.port))
        async with server.socket(me, sock=narrow, max_queue=1) as client:
            await snapshot(client)
            (connection,) = [one for one in server.server.server_state.connections if hasattr(one, "writable")]
            while connection.writable.is_set():
                last = await advance(server)
            calls.clear()
            for _ in range(20):
                last = await advance(server)
            await until(lambda: calls["offer"] >= 20)
            assert connection.transport.get_write_buffer_size() < 64 * 2**10 + 2 * len(text)
            heard = [(await hear(client))["seq"] for _ in range(last)]
            assert heard == list(range(1, last + 1))
            assert calls["send_text"] >= 20  # by the sender, who can wait
            last = await advance(server)
            assert (await hear(client))["seq"] == last


async def test_a_server_that_takes_no_frames_is_sent_messages(
    settings: Settings, me: NewIdentity, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(protocols.OPTIONS, "ws", WebSocketsSansIOProtocol)
    async with serving(settings) as server, server.socket(me) as client:
        await snapshot(client)
        said = message(me)
        calls.clear()
        await server.services.bus.publish([(me.user_id, said)])
        assert await client.recv() == said.decode()
        assert (calls["write"], calls["send_text"]) == (0, 1)


@pytest.fixture
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collections")
async def test_what_ended_does_not_wait_for_a_collection(settings: Settings, me: NewIdentity) -> None:
    async with serving(settings) as server:
        async with AsyncExitStack() as stack:
            await opened(stack, server, me, SOCKETS)
            connections = [weakref.ref(one) for one in server.server.server_state.connections]
            clients = [weakref.ref(one) for one in server.services.bridge._clients()]
            assert len(connections) == len(clients) == SOCKETS
        await until(lambda: not any(one() for one in connections + clients))
